// `deft train algo=deft_soc`: what it learns and leaves, and what sample, compare and restore make of it.
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, expect, test, vi } from "vitest";
import { restore } from "../../src/cli/commands/restore.ts";
import { train } from "../../src/cli/commands/train.ts";
import { compared } from "../../src/cli/compare-run.ts";
import { batchesOf, setUpComparison } from "../../src/cli/comparison-setup.ts";
import { resolveRun } from "../../src/cli/resolve-run.ts";
import { resolveComparison, resolveSampling } from "../../src/cli/resolve-trained.ts";
import type { Summary } from "../../src/cli/sample-results.ts";
import { openSource, sampleOn } from "../../src/cli/sample-run.ts";
import { socOn } from "../../src/cli/soc-run.ts";
import { readStats } from "../../src/cli/stats.ts";
import { withRunWeights } from "../../src/cli/train-setup.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const gpu = { kind: "lavapipe" as const, name: "it", line: "adapter: it" };
const root = temporaryFolder();
const run = path.join(root, "samples", "soc");
const WORDS = [
  ...[`exp.root=${root}`, "exp.name=soc", "model=phantoms", "algo=deft_soc", "algo.deg=sr4"],
  ...["algo.sigma_y=0.3", "algo.soc.iterations=3", "algo.soc.batch_size=2", "algo.soc.num_steps=2"],
  ...["algo.soc.picture=2", "algo.finetune_args.log_freq=1", "exp.seed=4"],
];
const summaryIn = (folder: string) =>
  JSON.parse(readFileSync(path.join(folder, "summary.json"), "utf8")) as Summary;

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  const { config } = await resolveRun(WORDS);
  const { data, task } = await openSource(config);
  await socOn({ engine: await testEngine(), gpu }, config, data, task);
});

test("learns one picture's measurement: statistics, checkpoint, network, samples, what it took", () => {
  expect(readStats(path.join(run, "stats.jsonl")).map(({ step }) => step)).toEqual([1, 2, 3]);
  for (const name of ["config.yaml", "htransform.safetensors", "learning.json", "grid.png"])
    expect(existsSync(path.join(run, name)), name).toBe(true);
  expect(existsSync(path.join(root, "model_ckpts", "soc", "checkpoint.safetensors"))).toBe(true);
  expect(existsSync(path.join(run, "pictures", "00002.png"))).toBe(true);
  expect(summaryIn(run)).toMatchObject({
    ...{ algorithm: "deft_soc", task: "sr4", pictures: 1, steps: 2 },
    network_calls: { prior: 2, own: 2 },
    // Three iterations of two steps, each run again for its gradient.
    learning: { network_calls: { prior: 12, own: 12 } },
  });
});

test("sample draws of the same observation with it, and of no other", async () => {
  const { config } = await resolveSampling(["--checkpoint", run, `exp.root=${root}`, "exp.name=more"]);
  expect(config.algo).toMatchObject({ name: "deft_soc", soc: { picture: 2, num_steps: 2 } });
  expect(config.exp.seed).toBe(4);
  const { data, task } = await openSource(config);
  await sampleOn({ engine: await testEngine(), gpu }, config, data, task);
  const picture = (name: string) => readFileSync(path.join(root, "samples", name, "pictures", "00002.png"));
  expect(picture("more")).toEqual(picture("soc"));
  await expect(resolveSampling(["--checkpoint", run, "exp.seed=5"])).rejects.toThrow("exp.seed:");
  await expect(resolveSampling(["--checkpoint", run, "algo=deft"])).rejects.toThrow(
    "deft samples with a trained",
  );
});

test("compare takes its picture, and counts what learning took", async () => {
  const { config } = await resolveComparison([
    ...["--checkpoint", run, "compare.algorithms=deft_soc,ddrm", "compare.num_samples=2"],
  ]);
  const { data, task } = await openSource(config);
  expect(batchesOf(config, data)).toEqual([[2, 1]]);
  const { comparison } = await withRunWeights(config, async (weights) =>
    setUpComparison(await testEngine(), {
      ...{ config, task, weights, channels: data.channels, side: data.side },
      ...compared(config),
    }),
  );
  await comparison.batch(data, 2, 1);
  const cost = comparison.costs.get("deft_soc");
  expect(cost?.calls).toEqual({ prior: 2, own: 2 });
  expect(cost?.learning?.calls).toEqual({ prior: 12, own: 12 });
  expect(cost?.learning?.secondsPerImage).toBeGreaterThan(0);
  expect(comparison.costs.get("ddrm")).not.toHaveProperty("learning");
});

test("a finished run is left alone; restore and train say what they do not do", async () => {
  const { config } = await resolveRun([`exp.root=${root}`, "exp.name=soc", "--resume"]);
  expect(config.algo).toMatchObject({ name: "deft_soc", sigma_y: 0.3 });
  const before = readFileSync(path.join(run, "summary.json"));
  const { data, task } = await openSource(config);
  await socOn({ engine: await testEngine(), gpu }, config, data, task);
  expect(readFileSync(path.join(run, "summary.json"))).toEqual(before);
  await expect(restore(["x.png", "--checkpoint", run, "--out", root])).rejects.toThrow(
    "learned one observation (algo=deft_soc)",
  );
  await expect(train(["algo=ddim"])).rejects.toThrow("expected deft sample algo=ddim");
  await expect(train([`exp.checkpoint=${run}`])).rejects.toThrow("exp.checkpoint: train does not read it");
});
