// What a step of training is made of: its draws, its learning rate, its moving average, and which weights predict.
import { beforeAll, describe, expect, test } from "vitest";
import { drawTimesteps, drawTimestepsFrom, streamOf, streams, type Batch } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Config } from "../../src/deft/config/schema.ts";
import { epsilonFrom } from "../../src/deft/denoiser.ts";
import { FineTuning } from "../../src/deft/finetune.ts";
import { HTransform, type HTransformConfig } from "../../src/deft/htransform.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { linearOperator, type Operator } from "../../src/deft/operator.ts";
import { Pretraining } from "../../src/deft/pretrain.ts";
import { clippedPredict, deftPredict, sampleDdim } from "../../src/deft/sample.ts";
import { timestepDistribution, timesteps } from "../../src/deft/schedule.ts";
import type { Task } from "../../src/deft/task.ts";
import type { Trainer } from "../../src/deft/trainer.ts";
import { ParameterSet, type Declarations } from "../../src/nn/parameter.ts";
import { UNet } from "../../src/nn/unet.ts";
import { affine, Philox, randomNormal, type Engine, type Tensor } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { smallUNet } from "../helpers/small-network.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await testEngine();
});

const SIDE = 4;
const SIZE = SIDE * SIDE;
const BATCH = 4;
const SEED = 11;
const TOTAL = 20;
const network: HTransformConfig = {
  ...smallUNet(SIDE, 1),
  ...{ modelChannels: 8, normGroups: 4, inChannels: 3 },
  ...{ useResidual: true, epsilonBased: true, initScalingBias: 0.5 },
};

const configOf = (...args: string[]): Config =>
  resolveConfig([
    ...["model=phantoms", "dataset=phantoms", `exp.seed=${SEED}`, "algo.sigma_y=0.2"],
    ...[`algo.finetune_args.batch_size=${BATCH}`, "algo.finetune_args.lr=0.01"],
    ...[
      `model.image_size=${SIDE}`,
      "model.channel_mult=[1]",
      "model.num_channels=32",
      "model.num_res_blocks=1",
      "model.attention_resolutions=[]",
    ],
    ...[`pretrain.steps=${TOTAL}`, "pretrain.lr=0.01", "pretrain.warmup_steps=4"],
    ...args,
  ]).config;

/** Pictures that differ from step to step. */
const batchOf = (step: number, count = BATCH): Batch => ({
  values: Float32Array.from({ length: count * SIZE }, (_, i) => Math.sin(1.7 * i + step)),
  ...{ count, epoch: 0, labels: null },
});

/** What the operator and the prior were asked, one entry a step. */
interface Seen {
  readonly indices: (readonly number[])[];
  readonly y: Promise<Float32Array>[];
  readonly t: number[][];
  readonly xt: Promise<Float32Array>[];
}

/** A x = x/2 and ε_θ(x_t, t) = x_t/10, both of which note what they see. */
function recorded(config: Config): {
  fineTuning: FineTuning;
  seen: Seen;
  operator: Operator;
  prior: PriorOf;
} {
  const seen: Seen = { indices: [], y: [], t: [], xt: [] };
  const half = (x: Tensor): Tensor => affine(x, 0.5, 0);
  const operator = linearOperator({
    ...{ name: "half", inShape: [1, SIDE, SIDE], outShape: [1, SIDE, SIDE], isOnto: true },
    ...{ apply: half, adjoint: half, pinv: (y) => affine(y, 2, 0) },
    residualGradient: (y, x) => {
      seen.y.push(y.read());
      return x.engine.scope(() => half(affine(x, -0.5, 0)));
    },
  });
  const condition = { sigmaY: 0.2, useX0hat: true, useLoggrad: true, convention: "exact" } as const;
  const task: Task = {
    ...{ name: "half", title: "half", effect: "halved", scale: null, condition },
    conditionFor: () => condition,
    operator: (_, indices) => {
      seen.indices.push(indices);
      return operator;
    },
    masks: null,
    release: () => undefined,
  };
  const denoise = (xt: Tensor, t: ArrayLike<number>): Tensor => {
    seen.t.push(Array.from(t));
    seen.xt.push(xt.read());
    return affine(xt, 0.1, 0);
  };
  const prior = { denoise, network: { config: { inChannels: 1, imageSize: SIDE } } };
  const schedule = scheduleOf(config.diffusion);
  const fineTuning = new FineTuning({ engine, schedule, prior, network, task, config, totalSteps: TOTAL });
  return { fineTuning, seen, operator, prior };
}

interface PriorOf {
  readonly denoise: (xt: Tensor, t: ArrayLike<number>) => Tensor;
}

function dispose({ trainer, hTransform }: { trainer: Trainer; hTransform?: HTransform }): void {
  hTransform?.release();
  trainer.dispose();
  trainer.set.dispose();
}

/** Standard normal numbers of a batch, drawn on the host. */
const normals = (purpose: number, step: number, count = BATCH): number[] =>
  Array.from({ length: count }, (_, image) => {
    const random = new Philox(SEED, streamOf(purpose, step), image);
    return Array.from({ length: SIZE }, () => random.normal());
  }).flat();

const worst = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  expect(a.length).toBe(b.length);
  return Array.from(a).reduce((w, v, i) => Math.max(w, Math.abs(v - b[i]!)), 0);
};

/** The flat weights, or what else has their layout, on the host. */
async function valuesOf(flat: readonly Tensor[]): Promise<number[]> {
  const parts: number[][] = [];
  for (const t of flat) parts.push([...(await t.read())]);
  return parts.flat();
}

/** Random numbers in every weight, and others in every average: the output layers start at 0. */
function scatter({ set, average }: Trainer): void {
  for (const [stream, flat] of [set.flat, average].entries())
    for (const t of flat) {
      const random = new Philox(5, stream);
      t.write(Float32Array.from({ length: t.size }, () => 0.2 * random.normal()));
    }
}

async function readAndDispose(t: Tensor): Promise<Float32Array> {
  const values = await t.read();
  t.dispose();
  return values;
}

/** A network of its own with the averaged weights. */
function withAverageOf(trainer: Trainer, { list }: Declarations): ParameterSet {
  const set = new ParameterSet(engine, list, { trainable: true });
  set.flat.forEach((t, i) => t.copyFrom(trainer.average[i]!));
  return set;
}

/** What the two kinds of training share. */
interface Training {
  readonly trainer: Trainer;
  readonly lr: number;
  step(batch: Batch): Tensor;
}

/** The learning rate of every step, and that the first one moves the weights by it (as Adam's first step does). */
async function expectRates(training: Training, rate: (step: number) => number): Promise<void> {
  const { trainer } = training;
  const before = await valuesOf(trainer.set.flat);
  for (let step = 0; step < TOTAL; step++) {
    trainer.adam.steps = step;
    expect(Math.abs(training.lr / rate(step) - 1), `step ${step}`).toBeLessThan(1e-12);
  }
  trainer.adam.steps = 0;
  training.step(batchOf(0)).dispose();
  expect(trainer.steps).toBe(1);
  expect(worst(await valuesOf(trainer.set.flat), before) / rate(0)).toBeCloseTo(1, 3);
}

/** What part of the average each step keeps; the rest is the weights'. */
async function expectAverages(training: Training, kept: readonly number[]): Promise<void> {
  const { trainer } = training;
  let average = await valuesOf(trainer.average);
  expect(average).toEqual(await valuesOf(trainer.set.flat));
  for (const [step, d] of kept.entries()) {
    training.step(batchOf(step)).dispose();
    const weights = await valuesOf(trainer.set.flat);
    expect(worst(weights, average)).toBeGreaterThan(1e-3);
    average = average.map((a, i) => d * a + (1 - d) * weights[i]!);
    expect(worst(await valuesOf(trainer.average), average), `step ${step}`).toBeLessThan(1e-6);
  }
}

describe("fine-tuning", () => {
  expectNothingLeft();

  test.each([0, 0.5])("step k draws by its number, timesteps of density ᾱ^%d", async (power) => {
    const config = configOf(`algo.finetune_args.timestep_power=${power}`);
    const schedule = scheduleOf(config.diffusion);
    const drawn = (count: number, step: number) =>
      power === 0
        ? drawTimesteps(count, 1000, SEED, step)
        : drawTimestepsFrom(count, timestepDistribution(schedule, power), SEED, step);
    const { fineTuning, seen } = recorded(config);
    const counts = [BATCH, BATCH, 2];
    counts.forEach((count, step) => fineTuning.step(batchOf(step, count)).dispose());
    expect(seen.indices).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    for (const [step, count] of counts.entries()) {
      const { values } = batchOf(step, count);
      const t = [...drawn(count, step)];
      expect(seen.t[step]).toEqual(t);
      const n = normals(streams.measurement, step, count);
      expect(
        worst(
          await seen.y[step]!,
          n.map((v, i) => 0.5 * values[i]! + 0.2 * v),
        ),
      ).toBeLessThan(2e-6);
      const xt = normals(streams.noise, step, count).map((z, i) => {
        const a = schedule.alphaBar(t[Math.floor(i / SIZE)]!);
        return Math.sqrt(a) * values[i]! + Math.sqrt(1 - a) * z;
      });
      expect(worst(await seen.xt[step]!, xt)).toBeLessThan(5e-6);
    }
    dispose(fineTuning);
  });

  test("each picture's error has the weight ᾱ_t^(−g)", async () => {
    const lossOf = async (power: number) => {
      const { fineTuning, seen } = recorded(configOf(`algo.finetune_args.alpha_bar_power=${power}`));
      const loss = await readAndDispose(fineTuning.step(batchOf(0, 2)));
      await Promise.all(seen.y);
      await Promise.all(seen.xt);
      dispose(fineTuning);
      return { loss: loss[0]!, t: seen.t[0]! };
    };
    const [even, half, whole] = [await lossOf(0), await lossOf(0.5), await lossOf(1)];
    const schedule = scheduleOf(configOf().diffusion);
    const [a, b] = even.t.map((t) => schedule.alphaBar(t)) as [number, number];
    // The errors of the two, from g = 0 and g = 1.
    const first = (2 * whole.loss - (2 * even.loss) / b) / (1 / a - 1 / b);
    const second = 2 * even.loss - first;
    expect(first).toBeGreaterThan(0.01);
    expect(second).toBeGreaterThan(0.01);
    const wanted = (first / Math.sqrt(a) + second / Math.sqrt(b)) / 2;
    expect(Math.abs(half.loss / wanted - 1)).toBeLessThan(1e-4);
  });

  test.each([true, false])("annealing %s: the learning rate", async (annealing) => {
    const { fineTuning } = recorded(configOf(`algo.finetune_args.lr_annealing=${annealing}`));
    await expectRates(fineTuning, (step) => 0.01 * (annealing ? 1 - step / TOTAL : 1));
    dispose(fineTuning);
  });

  test("the average starts, keeps still and decays as the configuration says", async () => {
    const { fineTuning } = recorded(
      configOf("algo.ema.beta=0.4", "algo.ema.update_after_step=2", "algo.ema.update_every=2"),
    );
    // Calls 0 and 2 copy, 1 and 3 are left out, 4 has 1 − 3^(−2/3) = 0.52 > 0.4.
    await expectAverages(fineTuning, [0, 1, 0, 1, 0.4, 1]);
    dispose(fineTuning);
  });

  test("predictions and gate come from the weights, or from their average when asked", async () => {
    const config = configOf();
    const schedule = scheduleOf(config.diffusion);
    const { fineTuning, operator, prior } = recorded(config);
    const { trainer, hTransform } = fineTuning;
    scatter(trainer);
    const averaged = new HTransform(network);
    const set = withAverageOf(trainer, averaged.declarations);
    const shape = [2, 1, SIDE, SIDE];
    const [xt, y] = [1, 2].map((stream) => randomNormal(engine, shape, { seed: 1, stream }));
    const condition = { sigmaY: 0.2, useX0hat: true, useLoggrad: true, convention: "exact" } as const;
    const at = async (predict: ReturnType<typeof deftPredict>) => {
      const { eps, x0 } = engine.noGrad(() => engine.scope(() => predict(xt!, 500)));
      return [await readAndDispose(eps), await readAndDispose(x0)];
    };
    const by = (h: HTransform) => at(deftPredict(schedule, prior.denoise, h, operator, y!, condition));
    const [raw, average] = [await by(hTransform), await by(averaged)];
    expect(worst(raw[0]!, average[0]!)).toBeGreaterThan(0.1);
    expect(await at(fineTuning.predict(operator, y!, true))).toEqual(average);
    expect(await at(fineTuning.predict(operator, y!, false))).toEqual(raw);
    const ts = [0, 400, 999];
    const gateBy = (h: HTransform) => readAndDispose(engine.noGrad(() => h.gate(engine, ts)));
    const [rawGate, averageGate] = [await gateBy(hTransform), await gateBy(averaged)];
    expect(averageGate).not.toEqual(rawGate);
    expect(await fineTuning.gate(ts, true)).toEqual(averageGate);
    expect(await fineTuning.gate(ts, false)).toEqual(rawGate);
    averaged.release();
    for (const t of [xt!, y!, set]) t.dispose();
    dispose(fineTuning);
  });
});

describe("pretraining", () => {
  const pretraining = (config: Config) => new Pretraining(engine, scheduleOf(config.diffusion), config);

  test.each([true, false])("annealing %s: the learning rate, after the warm-up", async (annealing) => {
    const run = pretraining(configOf(`pretrain.lr_annealing=${annealing}`));
    const rise = [0.25, 0.5, 0.75, 1];
    await expectRates(run, (step) => 0.01 * (rise[step] ?? 1) * (annealing ? 1 - step / TOTAL : 1));
    dispose(run);
  });

  test("the average decays as the configuration says", async () => {
    const run = pretraining(configOf("pretrain.ema_beta=0.3"));
    // Call 0 copies; 1 − 2^(−2/3) = 0.37 > 0.3 from then on.
    await expectAverages(run, [0, 0.3, 0.3]);
    dispose(run);
  });

  test("pictures are drawn from the averaged weights, by DDIM with η = 1 and x̂0 clamped", async () => {
    const config = configOf("model.prediction_type=v_prediction");
    const schedule = scheduleOf(config.diffusion);
    const run = pretraining(config);
    scatter(run.trainer);
    const got = await readAndDispose(await run.sample(2, 4, 3));
    const net = new UNet(run.network.config);
    const set = withAverageOf(run.trainer, net.declarations);
    const shape = [2, 1, SIDE, SIDE];
    const normal = (purpose: number, k: number) =>
      randomNormal(engine, shape, { seed: 3, stream: streamOf(purpose, k) });
    const expected = async (eta: number) =>
      readAndDispose(
        await sampleDdim({
          ...{ engine, schedule, ts: timesteps(1000, 0, 4), eta },
          predict: clippedPredict(
            schedule,
            epsilonFrom("v_prediction", schedule, (xt, t) => net.forward(xt, t)),
          ),
          start: normal(streams.start, 0),
          noise: (k) => normal(streams.sample, k),
        }),
      );
    const want = await expected(1);
    expect(worst(got, want)).toBeLessThan(1e-4);
    expect(worst(await expected(0), want)).toBeGreaterThan(0.01);
    // With the network's own weights in the place of their average.
    run.trainer.average.forEach((t, i) => t.copyFrom(run.trainer.set.flat[i]!));
    expect(worst(await readAndDispose(await run.sample(2, 4, 3)), want)).toBeGreaterThan(0.01);
    set.dispose();
    dispose(run);
  });
});
