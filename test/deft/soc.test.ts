// DEFT from one observation: the objectives in float64, the posterior of a Gaussian prior, memory.
import { beforeAll, describe, expect, test } from "vitest";
import { HTransform } from "../../src/deft/htransform.ts";
import { vjpByTape } from "../../src/deft/operator.ts";
import { sampleDdim } from "../../src/deft/sample.ts";
import { ddimCoefficients, stepPairs } from "../../src/deft/schedule.ts";
import {
  socDefaults,
  StochasticControl,
  trajectoryStream,
  type SocOptions,
  type SocProblem,
} from "../../src/deft/soc.ts";
import { linearLayer } from "../../src/nn/layers.ts";
import { Declarations, ParameterSet } from "../../src/nn/parameter.ts";
import { initialise } from "../../src/nn/state.ts";
import {
  mul,
  neg,
  Philox,
  randomNormal,
  reshape,
  silu,
  slice,
  square,
  timestepEmbedding,
  type Engine,
  type Tensor,
} from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { smallUNet } from "../helpers/small-network.ts";
import { expectMoments, moments, posterior, type Gaussian } from "./algorithms/gaussian.ts";
import {
  freePrior,
  measurementOf,
  rowsOf,
  schedule,
  settingOf,
  type TaskName,
} from "./algorithms/setting.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await testEngine();
});
expectNothingLeft();

/** The last channel of the condition: g. */
const guidanceOf = (inputs: Tensor): Tensor => {
  const [n, c, h, w] = inputs.shape as [number, number, number, number];
  return slice(inputs, [0, c - 1, 0, 0], [n, c, h, w]);
};

/** A network h that is no more than the test needs. */
interface Control {
  readonly declarations: Declarations;
  forward(inputs: Tensor, t: ArrayLike<number>): Tensor;
  release?(): void;
}

/** h = −θ g. */
function oneNumber(): Control {
  const declarations = new Declarations();
  const theta = declarations.add("theta", [1], 0.05);
  return { declarations, forward: (inputs) => neg(mul(guidanceOf(inputs), theta.value)) };
}

/** h = −s(t) g, s a small network of the time: holds the optimum where all pixels have the same variance. */
function gated(): Control {
  const declarations = new Declarations();
  const [a, b] = [
    linearLayer(declarations.in("a"), 32, 32),
    linearLayer(declarations.in("b"), 32, 1, { weight: 0, bias: 0 }),
  ];
  return {
    declarations,
    forward: (inputs, t) => {
      const s = b(silu(a(timestepEmbedding(inputs.engine, t, 32))));
      return neg(mul(guidanceOf(inputs), reshape(s, [t.length, 1, 1, 1])));
    },
  };
}

interface Made {
  readonly problem: SocProblem;
  readonly soc: StochasticControl;
  readonly set: ParameterSet;
  readonly calls: () => number;
  dispose(): void;
}

function make(
  control: Control,
  prior: Gaussian,
  task: TaskName,
  sigmaY: number,
  n: number,
  options: Partial<SocOptions>,
): Made {
  const setting = settingOf(engine, task, prior, { n, steps: 10 });
  const set = new ParameterSet(engine, control.declarations.list, { trainable: true });
  initialise(set, 1);
  const { operator, y } = setting.problem;
  const problem: SocProblem = {
    engine,
    schedule,
    prior: setting.network.denoise,
    operator,
    y,
    condition: { sigmaY, useX0hat: true, useLoggrad: true, convention: "exact" },
    hTransform: control,
    set,
  };
  const soc = new StochasticControl(problem, { ...socDefaults, ...options });
  return {
    problem,
    soc,
    set,
    calls: () => setting.network.calls,
    dispose() {
      soc.trainer.dispose();
      control.release?.();
      set.dispose();
      setting.dispose();
    },
  };
}

/** The objective of h = −θ g in float64, with the trajectory of `at` where the objective holds it fixed. */
function reference(
  objective: SocOptions["objective"],
  ts: readonly number[],
  sigma: number,
  n: number,
  theta: number,
  at: number,
): number {
  const { mean: m, variance: v } = freePrior;
  const [rows, y] = [rowsOf.sr2, measurementOf("sr2", freePrior)];
  const residual = (x: readonly number[]) =>
    rows.map((row, j) => (y[j] as number) - row.reduce((s, a, i) => s + a * (x[i] as number), 0));
  const totals = Array.from({ length: n }, (_, image) => {
    const draw = (k: number): number[] => {
      const random = new Philox(0, trajectoryStream(0, k, ts.length), image);
      return m.map(() => random.normal());
    };
    let x = draw(0);
    let total = 0;
    for (const [k, { t, s }] of stepPairs(ts).entries()) {
      const [aT, aS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
      const { c1, c2 } = ddimCoefficients(aT, aS, 1);
      const eps = x.map(
        (p, i) =>
          (Math.sqrt(1 - aT) * (p - Math.sqrt(aT) * (m[i] as number))) / (aT * (v[i] as number) + 1 - aT),
      );
      const x0 = (e: readonly number[]) =>
        x.map((p, i) => (p - Math.sqrt(1 - aT) * (e[i] as number)) / Math.sqrt(aT));
      const r = residual(x0(eps));
      const g = m.map(
        (_, i) => rows.reduce((sum, row, j) => sum + (row[i] as number) * (r[j] as number), 0) / sigma ** 2,
      );
      const mu = (parameter: number) => {
        const e = eps.map((p, i) => p - parameter * (g[i] as number));
        return x0(e).map((p, i) => Math.sqrt(aS) * p + c2 * (e[i] as number));
      };
      const distance = (a: readonly number[], b: readonly number[]) =>
        a.reduce((sum, p, i) => sum + (p - (b[i] as number)) ** 2, 0);
      const z = draw(k + 1);
      const isFixed = objective === "vargrad";
      const next = mu(isFixed ? at : theta).map((p, i) => p + c1 * (z[i] as number));
      if (c1 > 0)
        total += isFixed
          ? (distance(next, mu(0)) - distance(next, mu(theta))) / (2 * c1 ** 2)
          : distance(mu(theta), mu(0)) / (2 * c1 ** 2);
      x = next;
    }
    return total + residual(x).reduce((sum, p) => sum + p * p, 0) / (2 * sigma ** 2);
  });
  const mean = totals.reduce((a, b) => a + b, 0) / n;
  if (objective === "relative_entropy") return mean;
  return totals.reduce((sum, p) => sum + (p - mean) ** 2, 0) / (n - 1);
}

describe("objectives", () => {
  for (const objective of ["relative_entropy", "vargrad"] as const)
    test(`${objective}: value and gradient in float64`, async () => {
      const made = make(oneNumber(), freePrior, "sr2", 0.3, 4, { objective, numSteps: 8 });
      const theta = made.set.parameters[0]!.value;
      const [loss, gradient] = engine.scope(() => {
        const value = made.soc.loss(0);
        return [value, engine.gradients(value, [theta])[0] as Tensor];
      });
      const at = Math.fround(0.05);
      const f = (p: number) => reference(objective, made.soc.ts, 0.3, 4, p, at);
      const [got, slope] = [(await loss!.read())[0] as number, (await gradient!.read())[0] as number];
      const want = (f(at + 1e-5) - f(at - 1e-5)) / 2e-5;
      expect(Math.abs(got - f(at)) / Math.abs(f(at)), "value").toBeLessThan(1e-4);
      expect(Math.abs(slope - want) / Math.abs(want), "gradient").toBeLessThan(1e-3);
      // Every step runs once forward, and once more in the backward pass.
      expect(made.calls()).toBe(objective === "vargrad" ? 8 + 7 : 8 + 8);
      loss!.dispose();
      gradient!.dispose();
      made.dispose();
    });
});

test("lr_annealing: the second of two steps has half of the learning rate", async () => {
  const thetaAfter = async (lrAnnealing: boolean): Promise<[number, number]> => {
    const made = make(oneNumber(), freePrior, "sr2", 0.3, 4, {
      numSteps: 4,
      iterations: 2,
      lr: 0.01,
      lrAnnealing,
    });
    const theta = made.set.parameters[0]!.value;
    const values: number[] = [];
    for (let k = 0; k < 2; k++) {
      made.soc.step().dispose();
      values.push((await theta.read())[0] as number);
    }
    made.dispose();
    return values as [number, number];
  };
  const [constant, annealed] = [await thetaAfter(false), await thetaAfter(true)];
  // Adam's first step is the learning rate itself.
  expect(Math.abs(constant[0] - 0.05)).toBeCloseTo(0.01, 5);
  expect(annealed[0]).toBe(constant[0]);
  expect(annealed[1] - annealed[0]).toBeCloseTo((constant[1] - constant[0]) / 2, 6);
});

test("the draws of all iterations and steps have streams of their own", () => {
  for (const steps of [1, 8]) {
    const drawn = [0, 1, 2].flatMap((iteration) =>
      Array.from({ length: steps + 1 }, (_, k) => trajectoryStream(iteration, k, steps)),
    );
    expect(new Set(drawn).size).toBe(3 * (steps + 1));
  }
});

/** Mean and variance of x_0 of the chain without h, by coordinate: the prior as so few steps draw it. */
function drawnPrior({ mean, variance, shape }: Gaussian, ts: readonly number[]): Gaussian {
  let state = mean.map(() => ({ m: 0, v: 1 }));
  for (const { t, s } of stepPairs(ts)) {
    const [aT, aS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
    const { c1, c2 } = ddimCoefficients(aT, aS, 1);
    state = state.map(({ m, v }, i) => {
      // ε = k (x_t − √ᾱ m₀), and x_s is linear in x_t and ε.
      const k = Math.sqrt(1 - aT) / (aT * (variance[i] as number) + 1 - aT);
      const [byX, byEps] = [Math.sqrt(aS / aT), c2 - Math.sqrt((aS / aT) * (1 - aT))];
      const slope = byX + byEps * k;
      return { m: slope * m - byEps * k * Math.sqrt(aT) * (mean[i] as number), v: slope ** 2 * v + c1 ** 2 };
    });
  }
  return { shape, mean: state.map(({ m }) => m), variance: state.map(({ v }) => v) };
}

/** −log ∫ p(x) exp(−‖y − A x‖²/(2σ²)) dx for rows that see different pixels: ½ Σ [r²/S + log(S/σ²)], S = a V aᵀ + σ². */
function freeEnergy(
  { mean, variance }: Gaussian,
  task: TaskName,
  y: readonly number[],
  sigma: number,
): number {
  return rowsOf[task].reduce((sum, row, j) => {
    const s = row.reduce((total, a, i) => total + a * a * (variance[i] as number), sigma ** 2);
    const r = (y[j] as number) - row.reduce((total, a, i) => total + a * (mean[i] as number), 0);
    return sum + ((r * r) / s + Math.log(s / sigma ** 2)) / 2;
  }, 0);
}

describe("posterior of a Gaussian prior from one observation", () => {
  const prior: Gaussian = { ...freePrior, variance: freePrior.mean.map(() => 0.3) };
  const DRAWS = 1000;

  /** sigma: what the objective takes for the noise, which a measurement without noise (`isNoisy` false) does not have. */
  async function check(
    objective: SocOptions["objective"],
    task: TaskName,
    sigma: number,
    isNoisy: boolean,
  ): Promise<void> {
    const iterations = 80;
    const ema = { beta: 0.9, updateAfterStep: 0, updateEvery: 1 };
    const made = make(gated(), prior, task, sigma, 32, {
      objective,
      numSteps: 40,
      iterations,
      lr: 0.02,
      ema,
    });
    const losses: number[] = [];
    for (let k = 0; k < iterations; k++) {
      const loss = made.soc.step();
      losses.push((await loss.read())[0] as number);
      loss.dispose();
    }
    const last = losses.slice(-20).reduce((a, b) => a + b) / 20;
    const y = measurementOf(task, prior);
    if (objective === "relative_entropy") {
      const least = freeEnergy(drawnPrior(prior, made.soc.ts), task, y, sigma);
      expect(last).toBeGreaterThan(least - 0.3);
      expect(last - least, "what is left of the gap").toBeLessThan(0.05 * ((losses[0] as number) - least));
    } else expect(last).toBeLessThan(0.02 * (losses[0] as number));
    const many = settingOf(engine, task, prior, { n: DRAWS, steps: 40 });
    const draw = (stream: number) => randomNormal(engine, [DRAWS, 1, 4, 4], { seed: 5, stream });
    const drawn = await sampleDdim({
      engine,
      schedule,
      ts: made.soc.ts,
      eta: 1,
      predict: made.soc.predict(many.problem.operator, many.problem.y, true),
      start: draw(1),
      noise: (k) => draw(2 + k),
    });
    const got = moments(await drawn.read(), DRAWS);
    expectMoments(got, posterior(prior, rowsOf[task], y, isNoisy ? sigma : 0), { draws: DRAWS, slack: 0.1 });
    drawn.dispose();
    many.dispose();
    made.dispose();
  }
  test("relative entropy; the loss reaches its least value", () =>
    check("relative_entropy", "inp", 0.2, true));
  test("variance of the log ratio", () => check("vargrad", "inp", 0.2, true));
  test("a measurement without noise", () => check("relative_entropy", "sr2", 0.05, false));
});

describe("a network as h", () => {
  const network = () =>
    new HTransform({
      ...smallUNet(4, 1, 1),
      inChannels: 3,
      normGroups: 8,
      useResidual: true,
      epsilonBased: true,
      initScalingBias: 0.01,
    });

  /** Peak of one iteration above what is held, in bytes. */
  async function peakOf(objective: SocOptions["objective"], numSteps: number): Promise<number> {
    const made = make(network(), freePrior, "sr2", 0.3, 8, { objective, numSteps });
    const { pool } = engine.device;
    made.soc.step().dispose();
    pool.resetPeak();
    const start = pool.stats.live;
    const loss = made.soc.step();
    const peak = pool.stats.peak - start;
    expect((await loss.read()).every(Number.isFinite)).toBe(true);
    loss.dispose();
    made.dispose();
    return peak;
  }

  for (const objective of ["relative_entropy", "vargrad"] as const)
    test(`${objective}: memory is one step and the states`, async () => {
      const [few, many] = [await peakOf(objective, 4), await peakOf(objective, 20)];
      // A state is 8 pictures of 16 numbers: 512 bytes, and costs beside it.
      expect((many - few) / 16).toBeLessThan(4 * 512);
      expect(many).toBeLessThan(1.5 * few);
    });

  test("no noise in the measurement is refused, and a variance over one trajectory", () => {
    const { problem, dispose } = make(oneNumber(), freePrior, "sr2", 0.1, 1, {});
    const noiseless = { ...problem, condition: { ...problem.condition, sigmaY: 0 } };
    expect(() => new StochasticControl(noiseless, socDefaults)).toThrow("pass algo.soc.sigma");
    expect(() => new StochasticControl(problem, { ...socDefaults, objective: "vargrad" })).toThrow(
      "soc.batch_size",
    );
    dispose();
  });

  test("a gradient through an operator's gradient that is computed by a tape is refused, not left out", () => {
    engine.scope(() => {
      const [x, v] = [engine.tensor([1, 2]), engine.tensor([1, 1])];
      expect(() => vjpByTape(square, x, v)).not.toThrow();
      x.requiresGrad = true;
      expect(() => engine.noGrad(() => vjpByTape(square, x, v))).not.toThrow();
      expect(() => vjpByTape(square, x, v)).toThrow("take algo.soc.objective=vargrad");
    });
  });
});
