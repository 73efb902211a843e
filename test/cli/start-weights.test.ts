import path from "node:path";
import { expect, test } from "vitest";
import { exportPrior } from "../../src/cli/pretrain-run.ts";
import { loadStart, openStart } from "../../src/cli/start-weights.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { Pretraining } from "../../src/deft/pretrain.ts";
import { readState } from "../../src/nn/state.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

async function pretraining(seed: number, type: string) {
  const { config } = resolveConfig([
    "model=phantoms",
    "dataset=phantoms",
    "model.image_size=8",
    "model.channel_mult=[1]",
    "model.attention_resolutions=[]",
    `model.prediction_type=${type}`,
    `exp.seed=${seed}`,
  ]);
  return { config, run: new Pretraining(await testEngine(), scheduleOf(config.diffusion), config) };
}

test("training starts from a prior's file; for another kind of prediction its output layer starts at 0", async () => {
  const file = path.join(temporaryFolder(), "prior.safetensors");
  const first = await pretraining(1, "v_prediction");
  for (const p of first.run.trainer.set.parameters)
    first.run.trainer.set.write(p, new Float32Array(p.value.size).fill(0.5));
  first.run.trainer.average.forEach((t, i) => t.copyFrom(first.run.trainer.set.flat[i]!));
  await exportPrior(first.run, first.config, file);

  const start = await openStart(file);
  expect(start.prediction).toBe("v_prediction");
  const second = await pretraining(2, "v_prediction");
  const set = second.run.trainer.set;
  expect(await loadStart(set, start, "v_prediction")).toBe(`start: the weights of ${file}`);
  for (const { data } of await readState(set)) expect(data.every((v) => v === 0.5)).toBe(true);
  expect(await loadStart(set, start, "epsilon")).toMatch(/, its output layer anew for epsilon$/);
  for (const { name, data } of await readState(set))
    expect(data.every((v) => v === (/^out\.2\./.test(name) ? 0 : 0.5))).toBe(true);
  await start.close();
});
