// From the configuration to what a training and its evaluation take, and the weight files that a run leaves.
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Summary } from "../../src/cli/report/types.ts";
import { exportTransform, writeResults } from "../../src/cli/run-results.ts";
import {
  evaluationOptions,
  setUpRun,
  transformNetwork,
  withRunWeights,
  type Run,
} from "../../src/cli/train-setup.ts";
import { epochOrder } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Config } from "../../src/deft/config/schema.ts";
import type { ImageDataset } from "../../src/deft/dataset.ts";
import { restoreBatch } from "../../src/deft/evaluate.ts";
import { HTransform } from "../../src/deft/htransform.ts";
import { priorConfig } from "../../src/deft/networks.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { Trainer } from "../../src/deft/trainer.ts";
import { openWeights, writeWeights } from "../../src/io/weights.ts";
import { ParameterSet, type Declarations } from "../../src/nn/parameter.ts";
import { initialise, readState } from "../../src/nn/state.ts";
import { UNet } from "../../src/nn/unet.ts";
import type { Engine } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { testGpu } from "../helpers/gpu.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SIDE = 8;
const SEED = 7;
const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const network = (group: string): string[] => [
  ...[`${group}.image_size=${SIDE}`, `${group}.channel_mult=[1]`, `${group}.num_channels=32`],
  ...[`${group}.num_res_blocks=1`, `${group}.attention_resolutions=[]`],
];
const configOf = (...args: string[]): Config =>
  resolveConfig([
    ...["model=phantoms", "dataset=phantoms", "algo.deg=sr4", `exp.seed=${SEED}`],
    ...network("model"),
    ...network("htransform_model"),
    ...[`model.ckpt_path=${at("prior.safetensors")}`, "algo.finetune_args.batch_size=4"],
    "algo.finetune_args.max_steps=null",
    ...args,
  ]).config;

/** Row after row of picture i rises from i/10 by less than 1/10. */
const data: ImageDataset = {
  ...{ name: "ramps", length: 10, channels: 1, side: SIDE },
  get: (i) =>
    Promise.resolve(Float32Array.from({ length: SIDE * SIDE }, (_, p) => i / 10 + (p % SIDE) / 100)),
};

let engine: Engine;
/** Random weights and another average. */
function scatter({ set, average }: Trainer, seed: number): void {
  for (const [k, t] of [...set.flat, ...average].entries()) t.write(randomArray(t.size, seed + k));
}

/** A trainer with such weights. */
function scattered({ list }: Declarations, seed: number): Trainer {
  const set = new ParameterSet(engine, list, { trainable: true });
  const trainer = new Trainer(set, { beta: 0.9, updateAfterStep: 0, updateEvery: 1 });
  scatter(trainer, seed);
  return trainer;
}

function dispose(trainer: Trainer): void {
  trainer.dispose();
  trainer.set.dispose();
}

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  engine = await testEngine();
  const prior = scattered(new UNet(priorConfig(configOf().model)).declarations, 1);
  const weights = await readState(prior.set);
  await writeWeights(
    at("prior.safetensors"),
    weights.map((w) => ({ ...w, dtype: "F32" as const })),
  );
  const start = scattered(new HTransform(transformNetwork(configOf(), 1)).declarations, 50);
  await exportTransform(at("start.safetensors"), { trainer: start }, false);
  for (const trainer of [prior, start]) dispose(trainer);
});
afterAll(() => void vi.restoreAllMocks());
expectNothingLeft();

/** A run of this configuration for as long as `fn` looks at it. */
async function withRun<T>(config: Config, fn: (run: Run) => Promise<T>): Promise<T> {
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  const run = await withRunWeights(config, (weights) =>
    setUpRun(engine, { config, task, train: data, ...weights }),
  );
  const result = await fn(run);
  run.fineTuning.hTransform.release();
  dispose(run.fineTuning.trainer);
  run.prior.dispose();
  task.release();
  return result;
}

async function weightsIn(file: string): Promise<Map<string, Float32Array>> {
  const weights = await openWeights(file);
  const all = new Map<string, Float32Array>();
  for (const name of weights.names) all.set(name, await weights.readF32(name));
  await weights.close();
  return all;
}

const namedOf = async (...args: Parameters<typeof readState>) =>
  new Map((await readState(...args)).map((w) => [w.name, w.data]));

function expectSame(got: Map<string, Float32Array>, want: Map<string, Float32Array>): void {
  expect([...got.keys()].sort()).toEqual([...want.keys()].sort());
  for (const [name, values] of want)
    expect(Buffer.compare(Buffer.from(got.get(name)!.buffer), Buffer.from(values.buffer)), name).toBe(0);
}

/** Indices of the pictures of an epoch, step by step. */
async function picturesOf({ batches }: Run, epoch: number): Promise<number[][]> {
  const n = batches.stepsPerEpoch;
  const steps: number[][] = [];
  for (let step = n * epoch; step < n * (epoch + 1); step++) {
    const { values, count } = await batches.get(step);
    const pictures = Array.from({ length: count }, (_, k) =>
      values.slice(k * SIDE ** 2, (k + 1) * SIDE ** 2),
    );
    const indices = pictures.map((picture) => Math.floor(10 * Math.min(...picture) + 0.5));
    for (const [k, picture] of pictures.entries()) expect(picture).toEqual(await data.get(indices[k]!));
    steps.push(indices);
  }
  return steps;
}

const extra = { samples: 3, evolutionSteps: 10 };

describe("what a training is made of", () => {
  test("natural order, whole epochs, the average and noise in the sampler, as the configuration has them", async () => {
    const config = configOf(
      ...["algo.finetune_args.shuffle=false", "algo.finetune_args.drop_last=false"],
      ...["algo.finetune_args.epochs=3", "algo.val_args.use_ema=true", "algo.val_args.eta=0.25"],
      ...["exp.start_step=800", "exp.end_step=100"],
    );
    await withRun(config, async (run) => {
      for (const epoch of [0, 1])
        expect(await picturesOf(run, epoch)).toEqual([
          [0, 1, 2, 3],
          [4, 5, 6, 7],
          [8, 9],
        ]);
      expect(run.totalSteps).toBe(9);
      const options = evaluationOptions(run, 7, extra);
      expect(options.ts).toEqual([100, 200, 300, 400, 500, 600, 700]);
      expect([options.useAverage, options.eta, options.seed]).toEqual([true, 0.25, SEED]);
      expect([options.samples, options.evolutionSteps]).toEqual([3, 10]);
      expect(options.fineTuning).toBe(run.fineTuning);
      expect([options.lpips, options.inception, options.classifier]).toEqual([null, null, null]);
    });
  });

  test("shuffled batches of one size, so many steps, the weights themselves", async () => {
    const config = configOf(
      ...["algo.finetune_args.shuffle=true", "algo.finetune_args.drop_last=true"],
      ...["algo.finetune_args.max_steps=5", "algo.finetune_args.lr=0.01", "algo.val_args.use_ema=false"],
      ...["algo.finetune_args.lr_annealing=true", "algo.val_args.eta=0"],
    );
    await withRun(config, async (run) => {
      for (const epoch of [0, 1]) {
        const order = [...epochOrder(10, SEED, epoch, true)];
        expect(await picturesOf(run, epoch)).toEqual([order.slice(0, 4), order.slice(4, 8)]);
      }
      expect(run.totalSteps).toBe(5);
      // Falls to 0 over those steps.
      run.fineTuning.trainer.adam.steps = 4;
      expect(run.fineTuning.lr).toBeCloseTo(0.002, 12);
      const options = evaluationOptions(run, 4, extra);
      expect(options.ts).toEqual([0, 250, 500, 750]);
      expect([options.useAverage, options.eta]).toEqual([false, 0]);
    });
  });

  test("starts from the weights of the file that the configuration names, else from new ones", async () => {
    const start = await weightsIn(at("start.safetensors"));
    const of = (...args: string[]) =>
      withRun(configOf(...args), ({ fineTuning }) => namedOf(fineTuning.trainer.set));
    expectSame(await of(`htransform_model.ckpt_path=${at("start.safetensors")}`), start);
    const fresh = new ParameterSet(
      engine,
      new HTransform(transformNetwork(configOf(), 1)).declarations.list,
      { trainable: true },
    );
    initialise(fresh, SEED);
    const [want, got] = [await namedOf(fresh), await of()];
    expectSame(got, want);
    fresh.dispose();
  });
});

describe("what a training leaves", () => {
  test.each([
    [true, "htransform_raw.safetensors"],
    [false, "htransform_ema.safetensors"],
  ])(
    "the weights that it samples with (their average: %s), the other ones in %s, a summary",
    async (useAverage, other) => {
      const config = configOf(`algo.val_args.use_ema=${useAverage}`);
      const { path: own, ...place } = { path: temporaryFolder(), name: "a", checkpoints: at("none") };
      const { raw, average, parameters } = await withRun(config, async (run) => {
        const { trainer } = run.fineTuning;
        scatter(trainer, 90);
        trainer.adam.steps = 12;
        const options = evaluationOptions(run, 2, { samples: 1, evolutionSteps: 10 });
        await writeResults({
          folder: { path: own, ...place, config, resumed: false },
          ...{
            gpu: await testGpu(),
            run: { ...run, data },
            batches: [await restoreBatch(options, data, 0, 2)],
          },
          ...{ seconds: { train: 1, sample: 2, total: 3 }, imagesPerSecond: 4, networkCalls: 5 },
          statsFile: path.join(own, "stats.jsonl"),
        });
        const sets = {
          raw: await namedOf(trainer.set),
          average: await namedOf(trainer.set, trainer.average),
        };
        return { ...sets, parameters: { prior: run.prior.parameters.count, htransform: trainer.set.count } };
      });
      const files = ["grid.png", "htransform.safetensors", other, "report.html", "summary.json"];
      expect(readdirSync(own).sort()).toEqual(files);
      const chosen = await weightsIn(path.join(own, "htransform.safetensors"));
      expectSame(chosen, useAverage ? average : raw);
      expectSame(await weightsIn(path.join(own, other)), useAverage ? raw : average);
      const hash = createHash("sha256");
      for (const name of [...raw.keys()].sort()) hash.update(Buffer.from(raw.get(name)!.buffer));
      const summary = JSON.parse(readFileSync(path.join(own, "summary.json"), "utf8")) as Summary;
      expect(summary).toMatchObject({
        ...{ task: "sr4", steps: 12, network_calls: 5, parameters },
        ...{ seconds: { train: 1, sample: 2, total: 3 }, htransform_sha256: hash.digest("hex") },
      });
      expect(Object.keys(summary.metrics)).toEqual(["pinv", "bicubic", "prior", "deft", "deft_mean4"]);
    },
  );
});
