// Network calls, the objectives in float64, draws that do not depend on the batch, memory.
import { describe, expect, test } from "vitest";
import type { Algorithm, Draws } from "../../../src/deft/algorithms/algorithm.ts";
import { deft } from "../../../src/deft/algorithms/ddim.ts";
import { ddrm } from "../../../src/deft/algorithms/ddrm.ts";
import { algorithms } from "../../../src/deft/algorithms/index.ts";
import { denoiseTermWeights, reddiff } from "../../../src/deft/algorithms/reddiff.ts";
import { reddiffParallel } from "../../../src/deft/algorithms/reddiff-parallel.ts";
import { sds } from "../../../src/deft/algorithms/sds.ts";
import { sdsVar } from "../../../src/deft/algorithms/sds-var.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { priorPredict } from "../../../src/deft/sample.ts";
import type { Engine } from "../../../src/tensor/index.ts";
import { testEngine } from "../../helpers/engine.ts";
import { kept, freePrior, measurementOf, rowsOf, schedule, settingOf, type Setting } from "./setting.ts";

/** Runs on `n` pictures of sr2; what comes out and how often the network was called. */
async function run<O extends object>(
  engine: Engine,
  algorithm: Algorithm<O>,
  options: Partial<O> = {},
  { n = 3, steps = 8, first = 0, draws }: { n?: number; steps?: number; first?: number; draws?: Draws } = {},
): Promise<{ values: Float32Array; network: Setting["network"]; rounds: number }> {
  const { problem, network, dispose } = settingOf(engine, "sr2", freePrior, { n, steps, first });
  let rounds = 0;
  const onStep = () => void rounds++;
  const result = await algorithm.sample({ ...problem, onStep, draws: draws ?? problem.draws }, options);
  const values = await result.read();
  result.dispose();
  dispose();
  return { values, network, rounds };
}

describe("every algorithm", () => {
  const all: Record<string, Algorithm> = {
    ...algorithms,
    deft: deft((p) => priorPredict(p.schedule, p.prior)),
  };
  for (const [name, algorithm] of Object.entries(all))
    test(`${name}: name, network calls, memory`, async () => {
      const engine = await testEngine();
      const before = engine.device.pool.stats.live;
      const { values, network, rounds } = await run(engine, algorithm);
      expect(algorithm.name).toBe(name);
      expect(values).toHaveLength(3 * 16);
      expect(values.every(Number.isFinite)).toBe(true);
      const calls = name === "reddiff_parallel" ? 2 : 8 * (algorithm.callsPerStep ?? NaN);
      expect(network.calls).toBe(calls);
      expect(rounds).toBe(calls);
      expect(network.pictures).toBe(name === "identity" ? 0 : 8 * 3);
      await engine.device.queue.idle();
      expect(engine.device.pool.stats.live).toBe(before);
    });

  for (const [name, algorithm] of Object.entries(all))
    test(`${name}: a picture does not depend on its batch`, async () => {
      const engine = await testEngine();
      const whole = (await run(engine, algorithm)).values;
      const last = (await run(engine, algorithm, {}, { n: 1, first: 2 })).values;
      // Means over the batch scale the gradients that Adam divides by its own estimate of their size.
      const tolerance = 1e-3;
      last.forEach((v, i) => expect(Math.abs(v - (whole[32 + i] as number))).toBeLessThan(tolerance));
    });

  test("defaults follow the degradation where it needs others", () => {
    expect(algorithms.dps.defaults.gradTermWeight).toBe(0.1);
    expect(algorithms.dps.defaultsFor("sr4")).toEqual({ ...algorithms.dps.defaults, gradTermWeight: 1 });
    expect(algorithms.pgdm.defaultsFor("sr4")).toEqual(algorithms.pgdm.defaults);
    expect(algorithms.pgdm.defaultsFor("in2").project).toBe(true);
    expect(algorithms.pgdm.defaultsFor("hdr").contrastWeight).toBe(1500);
  });

  test("pgdm's contrast weight is that of 3x256x256, brought down with the picture", async () => {
    const engine = await testEngine();
    const ofWeight = async (contrastWeight: number): Promise<Float32Array> =>
      (await run(engine, algorithms.pgdm, { contrastWeight }, { steps: 1 })).values;
    const [none, some, more] = [await ofWeight(0), await ofWeight(1500), await ofWeight(3000)];
    // One step from the same start: x − mean over (n − 1)·std, of 16 numbers.
    const pushed = some.map((v, i) => v - none[i]!);
    const rms = Math.sqrt(pushed.reduce((sum, v) => sum + v * v, 0) / pushed.length);
    expect(rms).toBeGreaterThan(0);
    expect(rms).toBeLessThan((1500 * 16) / (3 * 256 ** 2) / Math.sqrt(15 * 16) + 1e-6);
    more.forEach((v, i) => expect(v - none[i]!).toBeCloseTo(2 * pushed[i]!, 4));
  });

  test("ddrm names the operator that has no spectral form", async () => {
    const engine = await testEngine();
    const { problem, dispose } = settingOf(engine, "inp", freePrior, { n: 1, steps: 4 });
    const operator = hdr([1, 4, 4]);
    await expect(ddrm.sample({ ...problem, operator })).rejects.toThrow(
      "ddrm: hdr has no singular value decomposition; take pgdm, dps or reddiff",
    );
    dispose();
  });

  test("ddrm: noise of y behind a mask is no measurement", async () => {
    const engine = await testEngine();
    const sample = async (behind: number): Promise<Float32Array> => {
      const { problem, dispose } = settingOf(engine, "inp", freePrior, { n: 2, steps: 6 });
      const values = (await problem.y.read()).map((v, i) => (kept[i % 16] === 1 ? v : behind * Math.sin(i)));
      const y = engine.tensor(values, problem.y.shape);
      const result = await ddrm.sample({ ...problem, y }, { sigmaY: 0.1 });
      const out = await result.read();
      for (const t of [y, result]) t.dispose();
      dispose();
      return out;
    };
    expect(await sample(0.3)).toEqual(await sample(0));
  });

  test("reddiff_parallel refuses half a timestep", async () => {
    const engine = await testEngine();
    await expect(run(engine, reddiffParallel, { parallel: 0.5 })).rejects.toThrow("parallel is 0.5");
  });
});

interface Objective {
  readonly lr: number;
  readonly obsWeight: number;
  readonly sigmaX0: number;
  readonly weight: (alpha: number) => number;
  readonly againstScore: boolean;
}

/** The optimisation of one picture in float64 from host draws, in the order z for x0, then the noise of each level. */
function reference(o: Objective, rounds: readonly (readonly number[])[], normal: () => number[]): number[] {
  const { mean: m, variance } = freePrior;
  const [rows, y] = [rowsOf.sr2, measurementOf("sr2", freePrior)];
  const measured = (x: readonly number[]) =>
    rows.map((row) => row.reduce((s, a, i) => s + a * (x[i] as number), 0));
  // A† repeats the block's mean.
  const mu = m.map((_, i) => y[rows.findIndex((row) => (row[i] as number) > 0)] as number);
  const [first, second] = [mu.map(() => 0), mu.map(() => 0)];
  rounds.forEach((levels, k) => {
    const z = normal();
    const x = mu.map((v, i) => v + o.sigmaX0 * (z[i] as number));
    const residual = measured(x).map((v, j) => (y[j] as number) - v);
    const gradient = mu.map(
      (_, i) =>
        (-o.obsWeight / y.length) *
        rows.reduce((s, row, j) => s + (row[i] as number) * (residual[j] as number), 0),
    );
    for (const t of levels) {
      const a = schedule.alphaBar(t);
      const noise = normal();
      const xt = x.map((v, i) => Math.sqrt(a) * v + Math.sqrt(1 - a) * (noise[i] as number));
      xt.forEach((v, i) => {
        const eps =
          (Math.sqrt(1 - a) * (v - Math.sqrt(a) * (m[i] as number))) / (a * (variance[i] as number) + 1 - a);
        const own =
          (Math.sqrt(1 - a) * (v - Math.sqrt(a) * (mu[i] as number))) / (a * o.sigmaX0 ** 2 + 1 - a);
        const target = o.againstScore ? own : (noise[i] as number);
        (gradient[i] as number) += (o.weight(a) * (eps - target)) / (levels.length * mu.length);
      });
    }
    gradient.forEach((g, i) => {
      first[i] = 0.9 * (first[i] as number) + 0.1 * g;
      second[i] = 0.99 * (second[i] as number) + 0.01 * g * g;
      const [mHat, vHat] = [
        (first[i] as number) / (1 - 0.9 ** (k + 1)),
        (second[i] as number) / (1 - 0.99 ** (k + 1)),
      ];
      (mu[i] as number) -= (o.lr * mHat) / (Math.sqrt(vHat) + 1e-8);
    });
  });
  return mu;
}

/** Draws that both sides see: a fixed sequence of numbers, and of levels. */
function recorded(engine: Engine): { draws: Draws; normal: () => number[]; uniform: () => number } {
  const source = () => {
    let state = 1;
    const uniform = () => (state = (state * 16807) % 2147483647) / 2147483647;
    const one = () => Math.fround(Math.sqrt(-2 * Math.log(uniform())) * Math.cos(2 * Math.PI * uniform()));
    return { normal: () => Array.from({ length: 16 }, one) };
  };
  const levels = () => {
    let k = 0;
    return () => (0.37 * k++) % 1;
  };
  const [gpu, host] = [source(), source()];
  return {
    draws: { normal: (shape) => engine.tensor(gpu.normal(), shape), uniform: levels() },
    normal: host.normal,
    uniform: levels(),
  };
}

describe("optimised pictures against float64", () => {
  const descending = [875, 750, 625, 500, 375, 250, 125, 0];
  const common = { lr: 0.05, obsWeight: 2, gradTermWeight: 0.4, sigmaX0: 0.2 };
  const ratio = (a: number) => Math.sqrt(1 - a) / Math.sqrt(a);

  async function compare<O extends object>(
    algorithm: Algorithm<O>,
    options: Partial<O>,
    o: Pick<Objective, "weight" | "againstScore">,
    roundsOf: (uniform: () => number) => number[][],
  ): Promise<void> {
    const engine = await testEngine();
    const { draws, normal, uniform } = recorded(engine);
    const { values } = await run(engine, algorithm, options, { n: 1, draws });
    const want = reference({ ...common, ...o }, roundsOf(uniform), normal);
    values.forEach((v, i) => expect(v, `pixel ${i}`).toBeCloseTo(want[i] as number, 4));
  }
  const atRandom = (uniform: () => number): number[][] =>
    descending.map(() => [descending.toReversed()[Math.floor(8 * uniform())] as number]);

  /** f of the weight 0.4·f(√(1−ᾱ)/√ᾱ). */
  const weightings: Record<(typeof denoiseTermWeights)[number], (r: number) => number> = {
    linear: (r) => r,
    sqrt: (r) => r ** 0.5,
    square: (r) => r ** 2,
    log: (r) => Math.log(1 + r),
    trunc_linear: (r) => (r < 1 ? r : 1),
    power2over3: (r) => Math.cbrt(r) ** 2,
    const: () => 1,
  };
  test.each(denoiseTermWeights)("reddiff weighted by %s", (denoiseTermWeight) =>
    compare(
      reddiff,
      { ...common, denoiseTermWeight },
      { weight: (a) => 0.4 * weightings[denoiseTermWeight](ratio(a)), againstScore: false },
      () => descending.map((t) => [t]),
    ),
  );
  test("reddiff_parallel, three timesteps at once and two in the last round", () =>
    compare(
      reddiffParallel,
      { ...common, denoiseTermWeight: "sqrt", parallel: 3 },
      { weight: (a) => 0.4 * Math.sqrt(ratio(a)), againstScore: false },
      () => [descending.slice(0, 3), descending.slice(3, 6), descending.slice(6)],
    ));
  test("sds", () => compare(sds, common, { weight: (a) => 0.4 * (1 - a), againstScore: false }, atRandom));
  test("sds_var", () =>
    compare(sdsVar, common, { weight: (a) => 0.4 * (1 - a), againstScore: true }, atRandom));
});
