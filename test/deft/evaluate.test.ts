// The evaluation of held-out pictures: its samples drawn again by hand, the numbers of its masks and noise, its measures.
import { describe, expect, it } from "vitest";
import { streamOf, streams } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import {
  hits,
  inceptionScores,
  openBatch,
  perceptual,
  restoreBatch,
  spread,
  summarise,
  type EvaluationOptions,
  type ScoredBatch,
} from "../../src/deft/evaluate.ts";
import { measureNoisy } from "../../src/deft/finetune.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { clippedPredict, priorPredict, sampleDdim, type Predict } from "../../src/deft/sample.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { generatedMasks, makeTask, type Task } from "../../src/deft/task.ts";
import type { Lpips } from "../../src/nn/lpips.ts";
import type { EncoderUNet } from "../../src/nn/unet.ts";
import {
  add,
  affine,
  concat,
  mean,
  randomNormal,
  reshape,
  slice,
  sub,
  type Tensor,
} from "../../src/tensor/index.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { gaussianDenoiser } from "./algorithms/gaussian.ts";
import { schedule } from "./algorithms/setting.ts";

const SIDE = 8;
const SIZE = SIDE * SIDE;
const SEED = 3;
const FIRST = 2;
const COUNT = 2;
const pixels = (f: (i: number) => number) => Array.from({ length: SIZE }, (_, i) => f(i));
const gaussian = {
  shape: [1, SIDE, SIDE],
  mean: pixels((i) => 0.5 * Math.sin(1.3 * i)),
  variance: pixels((i) => 0.05 + 0.02 * ((7 * i) % 11)),
} as const;
const data = phantoms({ side: SIDE, length: 8 });

expectNothingLeft();

async function setting(...words: string[]) {
  const engine = await testEngine();
  const { config } = resolveConfig(["model=phantoms", ...words]);
  const { denoise } = gaussianDenoiser(engine, schedule, gaussian);
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  return { engine, denoise, task };
}

/** The same task, with the numbers that its operators were asked for. */
function watched(task: Task): { task: Task; asked: (readonly number[])[] } {
  const asked: (readonly number[])[] = [];
  const operator: Task["operator"] = (engine, indices) => {
    asked.push(indices);
    return task.operator(engine, indices);
  };
  return { task: { ...task, operator }, asked };
}

const worst = (a: Float32Array, b: Float32Array): number =>
  a.reduce((w, v, i) => Math.max(w, Math.abs(v - (b[i] as number))), 0);

describe("restoring a batch", () => {
  const ts = timesteps(1000, 0, 4);

  it("each sample is DDIM's with draws of its own, the mean that of all, the prior's projected without noise", async () => {
    const { engine, denoise, task } = await setting("algo.deg=sr2", "algo.sigma_y=0");
    const predict = priorPredict(schedule, denoise);
    const options = {
      ...{ engine, schedule, task, ts, eta: 1, seed: SEED, samples: 2 },
      ...{ useAverage: false, evolutionSteps: 0 },
      prior: { labelled: () => denoise },
      fineTuning: { predict: () => predict },
    } as unknown as EvaluationOptions;
    const { methods, measurement } = await restoreBatch(options, data, FIRST, COUNT);

    const again = async (p: Predict, eta: number, sample: number): Promise<Float32Array> => {
      const draw = (purpose: number, step: number) =>
        randomNormal(engine, [COUNT, 1, SIDE, SIDE], {
          seed: SEED,
          stream: streamOf(purpose, 64 * step + sample),
          first: FIRST,
        });
      const result = await sampleDdim({
        ...{ engine, schedule, ts, eta, predict: p },
        start: draw(streams.start, 0),
        noise: (step) => draw(streams.sample, step),
      });
      const values = await result.read();
      result.dispose();
      return values;
    };
    // Without noise the projection on blocks of 2x2 adds to each pixel what its block's mean lacks.
    const y = engine.tensor(Float32Array.from(measurement.values), measurement.shape);
    const half = SIDE / 2;
    const blocks = [COUNT, 1, half, 2, half, 2];
    const projected: Predict = (xt, t) => {
      const { eps, x0 } = predict(xt, t);
      const means = mean(reshape(x0, blocks), { axes: [3, 5], keepdim: true });
      const missing = sub(reshape(y, [COUNT, 1, half, 1, half, 1]), means);
      return { eps, x0: reshape(add(reshape(x0, blocks), missing), x0.shape) };
    };
    const samples = [await again(predict, 1, 0), await again(predict, 1, 1)] as const;
    const get = (name: "deft" | "deft_mean4" | "prior") => methods.get(name) as Float32Array;
    expect(worst(samples[0], samples[1])).toBeGreaterThan(0.1);
    expect(worst(get("deft"), samples[0])).toBeLessThan(1e-6);
    const average = samples[0].map((v, i) => (v + (samples[1][i] as number)) / 2);
    expect(worst(get("deft_mean4"), average)).toBeLessThan(1e-6);
    expect(worst(get("prior"), await again(projected, 0, 0))).toBeLessThan(1e-5);
    y.dispose();
  });
});

it("steps that are kept are spread from the first to the last", () => {
  expect(spread(1000, 4)).toEqual([0, 333, 666, 999]);
  expect(spread(3, 10)).toEqual([0, 1, 2]);
  expect(spread(5, 1)).toEqual([0]);
  expect(spread(5, 0)).toEqual([]);
});

describe("a batch of the evaluation", () => {
  it("gives each picture its own of stored masks", async () => {
    const { engine, task: plain } = await setting("algo.deg=inp_box", "algo.sigma_y=0");
    const { task, asked } = watched(plain);
    const stored = { ...task, masks: { ...plain.masks!, count: 10 } };
    const batch = await openBatch({ engine, task: stored, seed: SEED }, data, FIRST, COUNT);
    expect(asked).toEqual([[FIRST, FIRST + 1]]);
    await batch.close();
  });

  it("takes masks and noise by the pictures' numbers, from where training does not come", async () => {
    const { engine, task: plain } = await setting("algo.deg=inp_box", "algo.sigma_y=0.3");
    const { task, asked } = watched(plain);
    const batch = await openBatch({ engine, task, seed: SEED }, data, FIRST, COUNT);
    const own = batch.single(1, 3);
    for (const t of own.held) t.dispose();
    const far = 0x7fff0000 + FIRST;
    expect(asked).toEqual([
      [far, far + 1],
      [far + 1, far + 1, far + 1],
    ]);
    const clean = engine.noGrad(() => engine.scope(() => affine(batch.operator.apply(batch.x), 1, 0)));
    const exact = await clean.read();
    clean.dispose();
    const noise = batch.measurement.values.map((v, i) => v - (exact[i] as number));
    expect(Math.max(...noise.map(Math.abs))).toBeGreaterThan(0.3);
    for (const step of [0, 1, FIRST]) {
      const trained = engine.noGrad(() =>
        engine.scope(() =>
          measureNoisy(engine, batch.operator, batch.x, task, { seed: SEED, step, first: FIRST }),
        ),
      );
      expect(worst(await trained.read(), batch.measurement.values)).toBeGreaterThan(0.1);
      trained.dispose();
    }
    // Another batch that holds the second picture measures it alike.
    const other = await openBatch({ engine, task, seed: SEED }, data, FIRST + 1, 1);
    expect(other.measurement.values).toEqual(batch.measurement.values.slice(SIZE));
    for (const { close } of [batch, other]) await close();
  });
});

describe("measures", () => {
  it("see pictures clamped to [-1, 1]", async () => {
    const engine = await testEngine();
    const values = randomArray(2 * SIZE, 8, -1, 1).map((v) => 3 * v);
    const clamped = values.map((v) => Math.min(1, Math.max(-1, v)));
    const x = engine.tensor(randomArray(2 * SIZE, 9, -1, 1), [2, 1, SIDE, SIDE]);
    // Instead of networks: the mean of a picture, its pixels.
    const lpips = { distance: (p: Tensor) => mean(p, { axes: [1, 2, 3] }) } as unknown as Lpips;
    const means = [0, 1].map(
      (k) => clamped.slice(k * SIZE, (k + 1) * SIZE).reduce((s, v) => s + v, 0) / SIZE,
    );
    (await perceptual(lpips, values, x)).forEach((v, k) => expect(v).toBeCloseTo(means[k] as number, 6));
    const inception = {
      forward(p: Tensor) {
        const all = reshape(p, [p.dim(0), SIZE]);
        return { features: all, logits: affine(all, 2, 0) };
      },
    };
    const { features } = await inceptionScores({ x }, values, inception);
    const dim = features.length / 2;
    for (const k of [0, 1])
      expect(features.slice(k * dim, k * dim + SIZE)).toEqual(clamped.slice(k * SIZE, (k + 1) * SIZE));
    x.dispose();
  });

  it("are no number for a picture that holds one, whatever a network makes of it", async () => {
    const engine = await testEngine();
    const values = randomArray(2 * SIZE, 10, -1, 1);
    values[SIZE + 3] = NaN;
    const x = engine.tensor(randomArray(2 * SIZE, 11, -1, 1), [2, 1, SIDE, SIDE]);
    // Networks that see nothing of it.
    const lpips = { distance: () => engine.tensor(Float32Array.of(0.1, 0.2)) } as unknown as Lpips;
    expect([...(await perceptual(lpips, values, x))]).toEqual([Math.fround(0.1), NaN]);
    const inception = {
      forward: () => ({ features: engine.tensor([1, 2], [1, 2]), logits: engine.tensor([3, 4], [1, 2]) }),
    };
    const outputs = await inceptionScores({ x }, values, inception);
    for (const part of [outputs.features, outputs.logits]) {
      expect([...part.slice(0, part.length / 2)].some(Number.isNaN)).toBe(false);
      expect([...part.slice(part.length / 2)].every(Number.isNaN)).toBe(true);
    }
    x.dispose();
  });

  it("the classifier too: a pixel beyond white does not outweigh another", async () => {
    const engine = await testEngine();
    const x = engine.tensor(new Float32Array(SIZE), [1, 1, SIDE, SIDE]);
    const classifier = {
      config: { outChannels: 2 },
      forward(p: Tensor) {
        const all = reshape(p, [1, SIZE]);
        return concat([slice(all, [0, 0], [1, 1]), affine(slice(all, [0, 1], [1, 2]), 2, 0)], 1);
      },
    } as unknown as EncoderUNet;
    const values = Float32Array.from(pixels((i) => [3, 0.8][i] ?? 0));
    expect(await hits(classifier, values, x, [1])).toEqual([1]);
    expect(await hits(classifier, values, x, [0])).toEqual([0]);
    x.dispose();
  });

  it("means are those of all pictures, whatever the batches", () => {
    const batch = (psnr: number[]): ScoredBatch<"deft"> => ({
      scores: new Map([["deft", { psnr, ssim: psnr, consistency: psnr, lpips: psnr, top1: psnr }]]),
      inception: new Map(),
    });
    expect(summarise([batch([10]), batch([20, 20, 20])]).get("deft")).toEqual({
      ...{ psnr: 17.5, ssim: 17.5, consistency: 17.5, lpips: 17.5, top1: 17.5 },
    });
  });
});

describe("predictions", () => {
  it("the clipped prior: ε is that of the clamped picture", async () => {
    const { engine, denoise } = await setting("algo.deg=sr2");
    const [n, t] = [2, 200];
    const values = randomArray(n * SIZE, 4, -8, 8);
    const shape = [n, 1, SIDE, SIDE];
    const [eps, x0] = engine.noGrad(() =>
      engine.scope(() => {
        const p = clippedPredict(schedule, denoise)(engine.tensor(values, shape), t);
        return [p.eps, p.x0];
      }),
    );
    const alphaBar = schedule.alphaBar(t);
    const [root, rest] = [Math.sqrt(alphaBar), Math.sqrt(1 - alphaBar)];
    const wantX0 = Array.from(values, (v, i) => {
      const k = i % SIZE;
      const [m, s] = [gaussian.mean[k] as number, gaussian.variance[k] as number];
      const own = (rest * (v - root * m)) / (alphaBar * s + 1 - alphaBar);
      return Math.min(1, Math.max(-1, (v - rest * own) / root));
    });
    expect(wantX0.filter((v) => Math.abs(v) === 1).length).toBeGreaterThan(10);
    expect(relativeError(await x0.read(), wantX0)).toBeLessThan(2e-6);
    const wantEps = Array.from(values, (v, i) => (v - root * (wantX0[i] as number)) / rest);
    expect(relativeError(await eps.read(), wantEps)).toBeLessThan(2e-6);
    for (const p of [eps, x0]) p.dispose();
  });
});
