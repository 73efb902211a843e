import { describe, expect, test } from "vitest";
import { Batches, drawTimestepsFrom, streamOf, streams } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { addNoise, epsilonFrom, weightedResidual } from "../../src/deft/denoiser.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { Pretraining } from "../../src/deft/pretrain.ts";
import { timestepDistribution } from "../../src/deft/schedule.ts";
import { lincomb, randomNormal } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";

const SIDE = 8;
const BATCH = 4;
const SHAPE = [BATCH, 1, SIDE, SIDE];

function setUp(...args: string[]) {
  const { config } = resolveConfig([
    "model=phantoms",
    "dataset=phantoms",
    `model.image_size=${SIDE}`,
    "model.channel_mult=[1]",
    "model.attention_resolutions=[]",
    "pretrain.steps=60",
    "pretrain.warmup_steps=5",
    "pretrain.lr=0.003",
    ...args,
  ]);
  const data = phantoms({ side: SIDE, length: 40 });
  const batches = new Batches(data, {
    batchSize: BATCH,
    seed: 0,
    shuffle: true,
    dropLast: true,
    flip: false,
  });
  return { config, schedule: scheduleOf(config.diffusion), batches };
}

/** The losses of the first `steps` steps. */
async function train(run: Pretraining, batches: Batches, steps: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const loss = run.step(await batches.get(step));
    losses.push((await loss.read())[0]!);
    loss.dispose();
  }
  return losses;
}

describe("pretraining", () => {
  test.each([
    ["epsilon", 0, 0],
    ["epsilon", 0.5, 0],
    ["epsilon", 1, 0.5],
    ["v_prediction", 1, 0],
    ["v_prediction", 0.5, 2],
  ] as const)(
    "the losses of %s are those of a network that puts out 0, weighted by 1 / ᾱ^%f, at timesteps of density ᾱ^%f",
    async (type, power, density) => {
      const engine = await testEngine();
      const { config, schedule, batches } = setUp(
        `model.prediction_type=${type}`,
        `pretrain.alpha_bar_power=${power}`,
        `pretrain.timestep_power=${density}`,
        // So little that the output layer stays at 0 for what a loss can show.
        "pretrain.lr=1e-12",
      );
      const run = new Pretraining(engine, schedule, config);
      const seed = config.exp.seed;
      for (const step of [0, 1]) {
        const batch = await batches.get(step);
        const loss = run.step(batch);
        const z = randomNormal(engine, SHAPE, { seed, stream: streamOf(streams.noise, step) });
        const t = drawTimestepsFrom(BATCH, timestepDistribution(schedule, density), seed, step);
        const values = await z.read();
        const size = values.length / BATCH;
        let expected = 0;
        values.forEach((v, i) => {
          const a = schedule.alphaBar(t[Math.floor(i / size)]!);
          // With v̂ = 0 the error of ε is √ᾱ v.
          const error =
            type === "epsilon" ? v : Math.sqrt(a) * (Math.sqrt(a) * v - Math.sqrt(1 - a) * batch.values[i]!);
          expected += error ** 2 / a ** power;
        });
        expected /= values.length;
        expect(Math.abs((await loss.read())[0]! / expected - 1), `step ${step}`).toBeLessThan(1e-5);
        for (const tensor of [loss, z]) tensor.dispose();
      }
    },
  );

  test.each([
    ["epsilon", 0.2],
    ["v_prediction", 0.5],
  ] as const)(
    "learns %s, and draws pictures within [-1, 1] from the averaged weights",
    async (type, part) => {
      const engine = await testEngine();
      const { config, schedule, batches } = setUp(
        `model.prediction_type=${type}`,
        "pretrain.alpha_bar_power=0.5",
        "pretrain.timestep_power=0",
      );
      const run = new Pretraining(engine, schedule, config);
      const losses = await train(run, batches, 60);
      const mean = (of: number[]) => of.reduce((a, b) => a + b, 0) / of.length;
      expect(mean(losses.slice(-10))).toBeLessThan(part * mean(losses.slice(0, 10)));
      const x = await run.sample(2, 4, 1);
      expect(x.shape).toEqual([2, 1, SIDE, SIDE]);
      for (const v of await x.read()) expect(Math.abs(v)).toBeLessThanOrEqual(1);
      x.dispose();
    },
  );
});

test("dropout changes what training computes, and a run repeats itself to the bit", async () => {
  const engine = await testEngine();
  const lossesOf = async (rate: number) => {
    const { config, schedule, batches } = setUp(`model.dropout=${rate}`);
    const run = new Pretraining(engine, schedule, config);
    return train(run, batches, 4);
  };
  const dropped = await lossesOf(0.5);
  expect(await lossesOf(0.5)).toEqual(dropped);
  expect((await lossesOf(0))[3]).not.toBe(dropped[3]);
});

test("with power 1 the squared residual is the error of v = √ᾱ ε − √(1−ᾱ) x (Salimans & Ho 2022)", async () => {
  const engine = await testEngine();
  const { schedule } = setUp();
  const t = [10, 300, 700, 950];
  const draw = (stream: number) => randomNormal(engine, SHAPE, { seed: 3, stream });
  const [x, z, eps] = [draw(1), draw(2), draw(3)];
  const xt = addNoise(schedule, x, z, t);
  const { known, factor } = weightedResidual("epsilon", schedule, { xt, z, t, power: 1 });
  const residual = lincomb(1, known, factor, eps);
  const [vx, vz, ve, got] = [await x.read(), await z.read(), await eps.read(), await residual.read()];
  const size = got.length / BATCH;
  got.forEach((r, i) => {
    const a = schedule.alphaBar(t[Math.floor(i / size)]!);
    const [s, n] = [Math.sqrt(a), Math.sqrt(1 - a)];
    const picture = (s * vx[i]! + n * vz[i]! - n * ve[i]!) / s;
    const error = s * vz[i]! - n * vx[i]! - (s * ve[i]! - n * picture);
    expect(Math.abs(r - error)).toBeLessThan(1e-5 * Math.max(1, Math.abs(error)));
  });
  for (const tensor of [x, z, eps, xt, known, factor, residual]) tensor.dispose();
});

test("ε from v̂: √ᾱ v̂ + √(1−ᾱ) x_t, the noise itself where v̂ is v", async () => {
  const engine = await testEngine();
  const { schedule } = setUp();
  const t = [0, 300, 700, 999];
  const draw = (stream: number) => randomNormal(engine, SHAPE, { seed: 5, stream });
  const [x, z] = [draw(1), draw(2)];
  const [vx, vz] = [await x.read(), await z.read()];
  const size = vz.length / BATCH;
  const mix = (f: (a: number, i: number) => number) =>
    Float32Array.from(vz, (_, i) => f(schedule.alphaBar(t[Math.floor(i / size)]!), i));
  const xt = engine.tensor(
    mix((a, i) => Math.sqrt(a) * vx[i]! + Math.sqrt(1 - a) * vz[i]!),
    SHAPE,
  );
  const v = mix((a, i) => Math.sqrt(a) * vz[i]! - Math.sqrt(1 - a) * vx[i]!);
  const denoise = epsilonFrom("v_prediction", schedule, () => engine.tensor(v, SHAPE));
  const eps = denoise(xt, t);
  (await eps.read()).forEach((e, i) => expect(Math.abs(e - vz[i]!)).toBeLessThan(1e-5));
  for (const tensor of [x, z, xt, eps]) tensor.dispose();
});

test("timesteps follow the density ᾱ^p, one in every n-th part of it", () => {
  const { schedule } = setUp();
  const weights = Array.from({ length: schedule.numTimesteps }, (_, t) => schedule.alphaBar(t) ** 0.25);
  const total = weights.reduce((a, b) => a + b, 0);
  const cumulative = timestepDistribution(schedule, 0.25);
  const counts = new Array<number>(10).fill(0);
  const [n, steps] = [16, 400];
  for (let step = 0; step < steps; step++) {
    const t = drawTimestepsFrom(n, cumulative, 7, step);
    [...t]
      .sort((a, b) => a - b)
      .forEach((v, k) => {
        expect(cumulative[v]!).toBeGreaterThan(k / n);
        expect(v === 0 ? 0 : cumulative[v - 1]!).toBeLessThan((k + 1) / n);
      });
    for (const v of t) counts[Math.floor(v / 100)]!++;
  }
  counts.forEach((count, k) => {
    const expected = (n * steps * weights.slice(100 * k, 100 * (k + 1)).reduce((a, b) => a + b, 0)) / total;
    // Stratified, so well within the deviation of independent draws.
    expect(Math.abs(count - expected)).toBeLessThan(3 * Math.sqrt(expected));
  });
  const uniform = timestepDistribution(schedule, 0);
  uniform.forEach((c, t) => expect(Math.abs(c - (t + 1) / schedule.numTimesteps)).toBeLessThan(1e-12));
});
