import { expect, test } from "vitest";
import { predictedPeak, pretrainingPeak } from "../../src/cli/memory.ts";
import { evaluationOptions, setUpRun, withRunWeights } from "../../src/cli/train-setup.ts";
import { Batches } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { restoreBatch } from "../../src/deft/evaluate.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { Pretraining } from "../../src/deft/pretrain.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { dryDevice, Engine, openDevice, matmul } from "../../src/tensor/index.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { testEngine } from "../helpers/engine.ts";

const SIDE = 32;

// The whole of a run's memory, on a device of its own, against what the dry run says.
test.each([
  ["sr4", 2, 6],
  ["inp", 6, 2],
] as const)("the peak of a %s run with batches of %i and %i is foretold to a tenth", async (deg, n, m) => {
  const { config } = resolveConfig([
    "model=phantoms",
    "dataset=phantoms",
    `algo.deg=${deg}`,
    `algo.finetune_args.batch_size=${n}`,
    `loader.batch_size=${m}`,
  ]);
  const train = phantoms({ side: SIDE, length: 8 });
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  const device = await openDevice(await testAdapter());
  const peaks = await withRunWeights(config, async (weights) => {
    const parts = { config, task, train, ...weights };
    const foretold = await predictedPeak(device, parts, train);
    const run = await setUpRun(new Engine(device), parts);
    for (let step = 0; step < 3; step++) {
      const loss = run.fineTuning.step(await run.batches.get(step));
      await loss.read();
      loss.dispose();
    }
    const options = evaluationOptions(run, 3, { samples: 2, evolutionSteps: 10 });
    await restoreBatch(options, train, 0, m);
    return { foretold, used: device.pool.stats.peak };
  });
  device.destroy();
  expect(Math.abs(peaks.foretold / peaks.used - 1)).toBeLessThan(0.1);
});

test("the peak of training a prior is foretold to a tenth", async () => {
  const { config } = resolveConfig([
    "model=phantoms",
    "dataset=phantoms",
    "model.image_size=16",
    "pretrain.batch_size=8",
  ]);
  const train = phantoms({ side: 16, length: 16 });
  const device = await openDevice(await testAdapter());
  const foretold = await pretrainingPeak(device, config, 16);
  const run = new Pretraining(new Engine(device), scheduleOf(config.diffusion), config);
  const batches = new Batches(train, { batchSize: 8, seed: 0, shuffle: true, dropLast: true, flip: true });
  for (let step = 0; step < 3; step++) {
    const loss = run.step(await batches.get(step));
    await loss.read();
    loss.dispose();
  }
  (await run.sample(16, 3, 0)).dispose();
  const used = device.pool.stats.peak;
  device.destroy();
  expect(Math.abs(foretold / used - 1)).toBeLessThan(0.1);
});

test("a dry device keeps the books of the real one and reads zeros", async () => {
  const { device } = await testEngine();
  const dry = new Engine(dryDevice(device));
  const a = dry.tensor(new Float32Array(64 * 64).fill(1), [64, 64]);
  const before = dry.device.pool.stats.live;
  const b = matmul(a, a);
  expect(dry.device.pool.stats.live - before).toBe(64 * 64 * 4);
  expect(await b.read()).toEqual(new Float32Array(64 * 64));
  b.dispose();
  expect(dry.device.pool.stats.live).toBe(before);
});
