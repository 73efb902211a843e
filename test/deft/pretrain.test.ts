import { describe, expect, test } from "vitest";
import { Batches, drawTimesteps, streamOf, streams } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { weightedResidual } from "../../src/deft/denoiser.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { Pretraining } from "../../src/deft/pretrain.ts";
import { randomNormal } from "../../src/tensor/index.ts";
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

describe("pretraining", () => {
  test.each([0, 0.5, 1])(
    "the first loss is the mean of z² / ᾱ^%f: a new network predicts 0",
    async (power) => {
      const engine = await testEngine();
      const { config, schedule, batches } = setUp(`pretrain.alpha_bar_power=${power}`);
      const run = new Pretraining(engine, schedule, config);
      const seed = config.exp.seed;
      const loss = run.step(await batches.get(0));
      const z = randomNormal(engine, SHAPE, { seed, stream: streamOf(streams.noise, 0) });
      const t = drawTimesteps(BATCH, schedule.numTimesteps, seed, 0);
      const values = await z.read();
      const size = values.length / BATCH;
      let expected = 0;
      values.forEach((v, i) => (expected += v ** 2 / schedule.alphaBar(t[Math.floor(i / size)]!) ** power));
      expected /= values.length;
      expect(Math.abs((await loss.read())[0]! / expected - 1)).toBeLessThan(1e-5);
      for (const tensor of [loss, z]) tensor.dispose();
    },
  );

  test("learns, and draws pictures within [-1, 1] from the averaged weights", async () => {
    const engine = await testEngine();
    const { config, schedule, batches } = setUp();
    const run = new Pretraining(engine, schedule, config);
    const losses: number[] = [];
    for (let step = 0; step < 60; step++) {
      const loss = run.step(await batches.get(step));
      losses.push((await loss.read())[0]!);
      loss.dispose();
    }
    const mean = (of: number[]) => of.reduce((a, b) => a + b, 0) / of.length;
    expect(mean(losses.slice(-10))).toBeLessThan(0.2 * mean(losses.slice(0, 10)));
    const x = await run.sample(2, 4, 1);
    expect(x.shape).toEqual([2, 1, SIDE, SIDE]);
    for (const v of await x.read()) expect(Math.abs(v)).toBeLessThanOrEqual(1);
    x.dispose();
  });
});

test("dropout changes what training computes, and a run repeats itself to the bit", async () => {
  const engine = await testEngine();
  const lossesOf = async (rate: number) => {
    const { config, schedule, batches } = setUp(`model.dropout=${rate}`);
    const run = new Pretraining(engine, schedule, config);
    const losses: number[] = [];
    for (let step = 0; step < 4; step++) {
      const loss = run.step(await batches.get(step));
      losses.push((await loss.read())[0]!);
      loss.dispose();
    }
    return losses;
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
  const residual = weightedResidual(schedule, z, eps, t, 1);
  const [vx, vz, ve, got] = [await x.read(), await z.read(), await eps.read(), await residual.read()];
  const size = got.length / BATCH;
  got.forEach((r, i) => {
    const a = schedule.alphaBar(t[Math.floor(i / size)]!);
    const [s, n] = [Math.sqrt(a), Math.sqrt(1 - a)];
    const picture = (s * vx[i]! + n * vz[i]! - n * ve[i]!) / s;
    const error = s * vz[i]! - n * vx[i]! - (s * ve[i]! - n * picture);
    expect(Math.abs(r - error)).toBeLessThan(1e-5 * Math.max(1, Math.abs(error)));
  });
  for (const tensor of [x, z, eps, residual]) tensor.dispose();
});
