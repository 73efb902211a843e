// The forms of the h-transform: noise (NN − s·g), score (NN + s·g), a score that is added as noise.
import { beforeAll, describe, expect, test } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { HTransform, type HTransformConfig } from "../../src/deft/htransform.ts";
import { hTransformConfig, scheduleOf } from "../../src/deft/networks.ts";
import { ParameterSet } from "../../src/nn/parameter.ts";
import { initialise } from "../../src/nn/state.ts";
import { Philox, randomNormal, type Engine, type Tensor } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { smallUNet } from "../helpers/small-network.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await testEngine();
});
expectNothingLeft();

const SIDE = 4;
const SIZE = SIDE * SIDE;
const TS = [3, 250, 999];
const IN = 3;
const base: HTransformConfig = {
  ...smallUNet(SIDE, 1),
  ...{ modelChannels: 8, normGroups: 4, inChannels: IN },
  ...{ useResidual: true, epsilonBased: true, initScalingBias: 0.7 },
};
/** One factor a timestep, none like another. */
const factor = (t: number): number => -0.2 - t / 400;

interface Made {
  readonly h: HTransform;
  readonly set: ParameterSet;
}

/** Every weight random, so that NN and s differ from picture to picture; or as training starts. */
function make(config: Partial<HTransformConfig>, isStart = false): Made {
  const h = new HTransform({ ...base, ...config });
  const set = new ParameterSet(engine, h.declarations.list, { trainable: true });
  initialise(set, 2);
  if (!isStart)
    for (const t of set.flat) {
      const random = new Philox(9, 1);
      t.write(Float32Array.from({ length: t.size }, () => 0.2 * random.normal()));
    }
  return { h, set };
}

const inputs = (): Tensor => randomNormal(engine, [TS.length, IN, SIDE, SIDE], { seed: 4, stream: 1 });

/** h at TS, with the plan of sampling or on a tape. */
async function outputOf({ h, set }: Made, taped = false): Promise<Float32Array> {
  const x = inputs();
  const run = () => h.forward(x, TS);
  const out = taped ? engine.withTape(run) : engine.noGrad(run);
  const values = await out.read();
  for (const t of [x, out]) t.dispose();
  h.release();
  set.dispose();
  return values;
}

/** The last channel of the inputs and the gate, on the host. */
async function guided(config: Partial<HTransformConfig>, isStart = false) {
  const x = inputs();
  const { h, set } = make(config, isStart);
  const s = engine.noGrad(() => h.gate(engine, TS));
  const [all, gate] = [await x.read(), await s.read()];
  for (const t of [x, s, set]) t.dispose();
  const g = (i: number) => all[(Math.floor(i / SIZE) * IN + IN - 1) * SIZE + (i % SIZE)]!;
  return { g, s: (i: number) => gate[Math.floor(i / SIZE)]! };
}

const expectClose = (got: Float32Array, want: (i: number) => number) => {
  expect(got).toHaveLength(TS.length * SIZE);
  got.forEach((v, i) => expect(Math.abs(v - want(i))).toBeLessThan(1e-5 * Math.max(1, Math.abs(want(i)))));
};

const timeOf = (i: number): number => TS[Math.floor(i / SIZE)]!;

describe("h-transform", () => {
  test("the form of noise is NN − s·g, that of a score NN + s·g, without the residual NN", async () => {
    const nn = await outputOf(make({ useResidual: false }));
    const { g, s } = await guided({});
    expect(new Set(TS.map((_, k) => s(k * SIZE))).size).toBe(TS.length);
    expectClose(await outputOf(make({})), (i) => nn[i]! - s(i) * g(i));
    expectClose(await outputOf(make({ epsilonBased: false })), (i) => nn[i]! + s(i) * g(i));
    // The form of noise has no factor, whatever is given.
    expect(await outputOf(make({ noiseFactor: factor }))).toEqual(await outputOf(make({})));
  });

  test.each([false, true])("a score as noise is f(t)·(NN + s·g), on a tape: %s", async (taped) => {
    const score = await outputOf(make({ epsilonBased: false }));
    const got = await outputOf(make({ epsilonBased: false, noiseFactor: factor }), taped);
    expectClose(got, (i) => factor(timeOf(i)) * score[i]!);
    const alone = await outputOf(make({ epsilonBased: false, useResidual: false }));
    const own = { epsilonBased: false, useResidual: false, noiseFactor: factor };
    expectClose(await outputOf(make(own), taped), (i) => factor(timeOf(i)) * alone[i]!);
  });

  test.each([true, false])("NN has a factor of t alone, s·g none; residual %s", async (useResidual) => {
    const nn = await outputOf(make({ useResidual: false }));
    const { g, s } = await guided({});
    const own = { useResidual, outputFactor: factor };
    expectClose(
      await outputOf(make(own)),
      (i) => factor(timeOf(i)) * nn[i]! - (useResidual ? s(i) * g(i) : 0),
    );
    // In score form the whole is made noise after that.
    const both = { ...own, epsilonBased: false, noiseFactor: (t: number) => 0.5 + t / 1000 };
    expectClose(
      await outputOf(make(both), true),
      (i) => (0.5 + timeOf(i) / 1000) * (factor(timeOf(i)) * nn[i]! + (useResidual ? s(i) * g(i) : 0)),
    );
  });

  test("htransform_model.scale_output is √ᾱ_t", () => {
    const made = (...words: string[]) =>
      hTransformConfig(resolveConfig(["model=imagenet256_uncond", ...words]).config, IN, 1);
    expect(made().outputFactor).toBeUndefined();
    const { outputFactor } = made("htransform_model.scale_output=true");
    let product = 1;
    for (let t = 0; t < 500; t++) product *= 1 - (1e-4 + (t * (0.02 - 1e-4)) / 999);
    expect(outputFactor?.(499)).toBeCloseTo(Math.sqrt(product), 5);
  });

  test("the configuration's factor is −√(1−ᾱ_t): a new score form is √(1−ᾱ_t) of the form of noise", async () => {
    const { config } = resolveConfig([
      ...["model=phantoms", "dataset=phantoms", "htransform_model.epsilon_based=false"],
      ...["diffusion.beta_schedule=cosine", "htransform_model.init_scaling_bias=0.6"],
      ...["htransform_model.use_residual=true"],
    ]);
    const schedule = scheduleOf(config.diffusion);
    const made = hTransformConfig(config, IN, 1);
    expect(made).toMatchObject({ epsilonBased: false, useResidual: true, initScalingBias: 0.6 });
    // Nichol & Dhariwal 2021, eq. 17.
    const f = (t: number) => Math.cos(((t / 1000 + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
    const sigma = (t: number) => Math.sqrt(1 - schedule.alphaBar(t));
    for (const t of [0, 250, 700]) {
      expect(made.noiseFactor?.(t)).toBeCloseTo(-Math.sqrt(1 - f(t + 1) / f(0)), 5);
      expect(made.noiseFactor?.(t)).toBe(-sigma(t));
    }
    const { g } = await guided({}, true);
    const noise = await outputOf(make({}, true));
    expectClose(noise, (i) => -0.7 * g(i));
    const { noiseFactor } = made;
    const got = await outputOf(make({ epsilonBased: false, ...(noiseFactor && { noiseFactor }) }, true));
    expectClose(got, (i) => sigma(timeOf(i)) * noise[i]!);
  });
});
