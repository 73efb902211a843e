import { writeFileSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { checkInputs } from "../../src/cli/check-inputs.ts";
import { predictedPeak } from "../../src/cli/memory.ts";
import { priorFile } from "../../src/cli/prior-file.ts";
import { evaluationOptions, setUpRun, withRunWeights } from "../../src/cli/train-setup.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { restoreBatch, summarise, type Restored } from "../../src/deft/evaluate.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { openWeights, writeWeights } from "../../src/io/weights.ts";
import { Declarations } from "../../src/nn/parameter.ts";
import { trunk, trunkChannels } from "../../src/nn/trunks.ts";
import { Engine, openDevice } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { op, storage, tensor, torchZip } from "../helpers/write-torch.ts";
import { lpips as reference, type Weights } from "../reference/lpips.ts";

const SIDE = 32;
const folder = temporaryFolder();

/** A prior's weights as torch.save would write a checkpoint: a table `model` beside an epoch. */
async function asTorch(from: string, to: string): Promise<void> {
  const weights = await openWeights(from);
  const storages: Record<string, Float32Array> = {};
  const table = [];
  for (const [k, name] of weights.names.entries()) {
    const { shape } = weights.info(name);
    const data = (storages[k] = await weights.readF32(name));
    const strides = shape.map((_, axis) => shape.slice(axis + 1).reduce((a, b) => a * b, 1));
    table.push([name, tensor(storage(String(k), data.length), shape, strides)] as [string, number[]]);
  }
  await weights.close();
  writeFileSync(to, torchZip(op.dict(["epoch", op.int(3)], ["model", op.dict(...table)]), storages));
}

/** LPIPS over a SqueezeNet of random weights, as one file. */
async function writeLpips(file: string): Promise<Weights> {
  const d = new Declarations();
  trunk(d, "squeeze");
  const heads = trunkChannels("squeeze").map((c, k) => ({
    name: `lin${k}.model.1.weight`,
    shape: [1, c, 1, 1],
  }));
  const entries = [...d.list, ...heads].map(({ name, shape }, k) => {
    const [n, fan] = [shape.reduce((a, b) => a * b, 1), shape.slice(1).reduce((a, b) => a * b, 1)];
    const bound = name.startsWith("lin") ? 1 : Math.sqrt(6 / fan);
    const data = randomArray(n, k, name.startsWith("lin") ? 0 : -bound, bound);
    return { name, shape, dtype: "F32" as const, data };
  });
  await writeWeights(file, entries);
  return new Map(entries.map(({ name, shape, data }) => [name, { shape, data }]));
}

test("a run takes its prior from a .pt file, and measures LPIPS where weights are given", async () => {
  const [prior, perceptual] = [path.join(folder, "prior.pt"), path.join(folder, "lpips.safetensors")];
  await asTorch(priorFile("phantoms", null) ?? "", prior);
  const weights = await writeLpips(perceptual);
  const train = phantoms({ side: SIDE, length: 8 });
  const device = await openDevice(await testAdapter());
  const run = async (...args: string[]): Promise<{ restored: Restored; foretold: number }> => {
    const { config } = resolveConfig([
      "model=phantoms",
      "dataset=phantoms",
      "algo.deg=sr4",
      "algo.finetune_args.batch_size=2",
      ...args,
    ]);
    checkInputs(config);
    const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
    return withRunWeights(config, async (weights) => {
      const parts = { config, task, train, ...weights };
      const foretold = await predictedPeak(device, parts, train);
      const run = await setUpRun(new Engine(device), parts);
      const options = evaluationOptions(run, 2, { samples: 1, keepEvolution: false });
      return { restored: await restoreBatch(options, train, 0, 2), foretold };
    });
  };
  const plain = await run();
  expect(summarise([plain.restored]).get("prior")).not.toHaveProperty("lpips");
  const measured = await run(`model.ckpt_path=${prior}`, `metrics.lpips_path=${perceptual}`);
  expect(measured.foretold).toBeGreaterThan(plain.foretold);
  expect(measured.restored.methods).toEqual(plain.restored.methods);
  const scores = measured.restored.scores.get("pinv");
  const n = SIDE * SIDE;
  for (const k of [0, 1]) {
    const grey = (values: Float32Array) => {
      const own = Float64Array.from(values.subarray(k * n, (k + 1) * n), (v) => Math.min(1, Math.max(-1, v)));
      return { c: 3, h: SIDE, w: SIDE, data: Float64Array.from([...own, ...own, ...own]) };
    };
    const { methods, original } = measured.restored;
    const want = reference("squeeze", weights, grey(methods.get("pinv") as Float32Array), grey(original));
    expect(Math.abs((scores?.lpips?.[k] ?? NaN) - want)).toBeLessThan(2e-5 * want);
  }
  expect(summarise([measured.restored]).get("pinv")?.lpips).toBeGreaterThan(0);
  device.destroy();
});

test("weights of metrics that do not fit are refused before anything runs", async () => {
  const config = (...args: string[]) => resolveConfig(["model=phantoms", "dataset=phantoms", ...args]).config;
  expect(() => checkInputs(config("metrics.lpips_path=/no/heads.pth"))).toThrow(
    "metrics.lpips_path: no such file",
  );
  expect(() => checkInputs(config("metrics.lpips_trunk_path=/no/trunk.pth"))).toThrow(
    "metrics.lpips_path: none given beside metrics.lpips_trunk_path",
  );
  const pickle = path.join(folder, "evil.pt");
  writeFileSync(pickle, torchZip(op.call(op.global("os", "system"), op.text("id"))));
  for (const key of ["metrics.lpips_path", "model.ckpt_path", "htransform_model.ckpt_path"])
    await expect(withRunWeights(config(`${key}=${pickle}`), () => Promise.resolve())).rejects.toThrow(
      `${pickle}: torch: "os.system" is not allowed`,
    );
});
