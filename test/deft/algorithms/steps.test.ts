// Chains of ddim by its options and steps of mcg in float64, from draws that both sides see; the levels that samples draw.
import { describe, expect, test } from "vitest";
import type { Draws, Problem } from "../../../src/deft/algorithms/algorithm.ts";
import { ddim } from "../../../src/deft/algorithms/ddim.ts";
import { seededDraws } from "../../../src/deft/algorithms/draws.ts";
import { mcg } from "../../../src/deft/algorithms/mcg.ts";
import type { Guide } from "../../../src/deft/guidance.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { quantisation } from "../../../src/deft/operators/quantisation.ts";
import { stepPairs } from "../../../src/deft/schedule.ts";
import { linear, reshape, type Engine } from "../../../src/tensor/index.ts";
import { randomArray } from "../../helpers/check-op.ts";
import { testEngine } from "../../helpers/engine.ts";
import { gaussianDenoiser } from "./gaussian.ts";
import { freePrior, measurementOf, rowsOf, schedule, settingOf } from "./setting.ts";

const SIZE = 16;
const STEPS = 8;
const LABELS = [2, 0];

type Picture = readonly number[];
const at = (x: ArrayLike<number>, i: number): number => x[i] as number;

/** Two pictures a draw, the same for both sides. */
const drawn = (k: number): Float32Array<ArrayBuffer> => randomArray(2 * SIZE, 100 + k, -1.7, 1.7);
function recorded(engine: Engine): Draws {
  let k = 0;
  return { normal: (shape) => engine.tensor(drawn(k++), shape), uniform: () => 0 };
}

/** Logits of three classes, W x. */
const W = randomArray(3 * SIZE, 7, -0.4, 0.4);
function guideOf(engine: Engine): { guide: Guide; dispose: () => void } {
  const weight = engine.tensor(W, [3, SIZE]).keep();
  const forward: Guide["classifier"]["forward"] = (x) => linear(reshape(x, [x.dim(0), SIZE]), weight, null);
  const classifier = { forward } as Guide["classifier"];
  return { guide: { classifier, labels: LABELS, strength: 0.7 }, dispose: () => weight.dispose() };
}

/** ∇ log softmax(W x)[label]. */
function pull(x: Picture, label: number): number[] {
  const logits = [0, 1, 2].map((c) => x.reduce((s, v, i) => s + at(W, c * SIZE + i) * v, 0));
  const total = logits.reduce((s, v) => s + Math.exp(v), 0);
  return x.map((_, i) =>
    logits.reduce((s, v, c) => s + (Number(c === label) - Math.exp(v) / total) * at(W, c * SIZE + i), 0),
  );
}

const noiseOf = (x: Picture, alpha: number): number[] =>
  x.map((v, i) => {
    const { mean, variance } = freePrior;
    return (
      (Math.sqrt(1 - alpha) * (v - Math.sqrt(alpha) * at(mean, i))) / (alpha * at(variance, i) + 1 - alpha)
    );
  });

interface Options {
  readonly eta: number;
  readonly sdedit: boolean;
  readonly guided: "no" | "yes" | "awd";
}

/** x̂0 of the last step of picture k (Song et al. 2021, eq. 12 and 16; Dhariwal & Nichol 2021, algorithm 2). */
function reference(k: number, ts: readonly number[], { eta, sdedit, guided }: Options): number[] {
  const draw = (n: number) => Array.from(drawn(n).subarray(k * SIZE, (k + 1) * SIZE));
  const y = measurementOf("sr2", freePrior);
  let x = draw(0);
  if (sdedit) {
    const alpha = schedule.alphaBar(at(ts, ts.length - 1));
    // A† repeats the block's mean.
    const pinv = x.map((_, i) =>
      at(
        y,
        rowsOf.sr2.findIndex((row) => at(row, i) > 0),
      ),
    );
    x = x.map((z, i) => Math.sqrt(alpha) * at(pinv, i) + Math.sqrt(1 - alpha) * z);
  }
  let [x0, draws]: [number[], number] = [x, 1];
  for (const { t, s } of stepPairs(ts)) {
    const [aT, aS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
    const c1 = eta * Math.sqrt(((1 - aT / aS) * (1 - aS)) / (1 - aT));
    const c2 = Math.sqrt(1 - aS - c1 ** 2);
    let eps = noiseOf(x, aT);
    if (guided !== "no") {
      const scale =
        guided === "awd" ? Math.sqrt(aS) / (Math.sqrt(aS) - (c2 * Math.sqrt(aT)) / Math.sqrt(1 - aT)) : 1;
      const gradient = pull(x, at(LABELS, k));
      eps = eps.map((e, i) => e - Math.sqrt(1 - aT) * 0.7 * scale * at(gradient, i));
    }
    x0 = x.map((v, i) => (v - Math.sqrt(1 - aT) * at(eps, i)) / Math.sqrt(aT));
    const z = c1 > 0 ? draw(draws++) : x.map(() => 0);
    x = x0.map((v, i) => Math.sqrt(aS) * v + c2 * at(eps, i) + c1 * at(z, i));
  }
  return x0;
}

describe("ddim against float64", () => {
  const cases: readonly Options[] = [
    { eta: 0, sdedit: false, guided: "no" },
    { eta: 0.8, sdedit: false, guided: "no" },
    { eta: 0.5, sdedit: true, guided: "no" },
    { eta: 0.5, sdedit: false, guided: "yes" },
    // The strength follows the step's own η.
    { eta: 0, sdedit: false, guided: "awd" },
    { eta: 0.8, sdedit: true, guided: "awd" },
  ];
  test.each(cases)("eta $eta, sdedit $sdedit, guided $guided", async (o) => {
    const engine = await testEngine();
    const { problem, dispose } = settingOf(engine, "sr2", freePrior, { n: 2, steps: STEPS });
    const { guide, dispose: disposeGuide } = guideOf(engine);
    const result = await ddim.sample(
      { ...problem, draws: recorded(engine), ...(o.guided !== "no" && { guide }) },
      { eta: o.eta, sdedit: o.sdedit, condAwd: o.guided === "awd" },
    );
    const got = await result.read();
    for (const k of [0, 1]) {
      const want = reference(k, problem.ts, o);
      want.forEach((v, i) => expect(got[k * SIZE + i], `picture ${k}, pixel ${i}`).toBeCloseTo(v, 4));
    }
    result.dispose();
    disposeGuide();
    dispose();
  });

  test("by default: noise of eta 0.5, from noise alone, the classifier's strength as it is", () => {
    expect(ddim.defaults).toEqual({ eta: 0.5, sdedit: false, condAwd: false });
  });
});

describe("the levels that samples draw", () => {
  test("follow seed and sample, not the batch", async () => {
    const engine = await testEngine();
    const levels = (o: { seed: number; sample?: number; first?: number }) => {
      const { uniform } = seededDraws(engine, o);
      return Array.from({ length: 6 }, () => uniform());
    };
    const one = levels({ seed: 3 });
    for (const v of one) expect(v >= 0 && v < 1).toBe(true);
    expect(levels({ seed: 3, sample: 0, first: 8 })).toEqual(one);
    for (const other of [levels({ seed: 3, sample: 1 }), levels({ seed: 4 })])
      expect(other.filter((v) => one.includes(v))).toEqual([]);
  });
});

const MCG_TS = [200, 500];

/** The same by hand: x′ − A†A x′ + A†A y_s with x′ = DDIM step + 2w √ᾱ_t Jᵀ(y − A x̂0), J of A and of the prior. */
function mcgByHand(
  k: number,
  y: Picture,
  a: { apply: (v: number) => number; pinv: (v: number) => number; slope: (v: number) => number },
): number[] {
  const draw = (n: number) => drawn(n).subarray(k * SIZE, (k + 1) * SIZE);
  const measured = (alpha: number, z: ArrayLike<number>) =>
    y.map((v, i) => Math.sqrt(alpha) * a.pinv(v) + Math.sqrt(1 - alpha) * at(z, i));
  let x = measured(schedule.alphaBar(500), draw(0));
  for (const [step, { t, s }] of stepPairs(MCG_TS).entries()) {
    const [aT, aS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
    const eps = noiseOf(x, aT);
    // A step draws for its own noise too, which eta 0 does not use.
    const noisy = measured(aS, draw(2 * step + 2));
    x = x.map((v, i) => {
      const x0 = (v - Math.sqrt(1 - aT) * at(eps, i)) / Math.sqrt(aT);
      const slope = (1 - (1 - aT) / (aT * at(freePrior.variance, i) + 1 - aT)) / Math.sqrt(aT);
      const pulled = slope * a.slope(x0) * (at(y, i) - a.apply(x0));
      const moved = Math.sqrt(aS) * x0 + Math.sqrt(1 - aS) * at(eps, i) + 2 * 0.3 * Math.sqrt(aT) * pulled;
      const seen = (w: number) => a.pinv(a.apply(w));
      return moved - seen(moved) + seen(at(noisy, i));
    });
  }
  return x;
}

describe("mcg where A is not linear: the difference of A†A, not A†A of the difference", () => {
  const clip = (v: number) => Math.min(1, Math.max(-1, v));
  const kinds = {
    hdr: {
      operator: hdr([1, 4, 4]),
      apply: (v: number) => clip(2 * v),
      pinv: (v: number) => v / 2,
      slope: (v: number) => (Math.abs(2 * v) < 1 ? 2 : 0),
    },
    quant1: {
      operator: quantisation(1, [1, 4, 4]),
      apply: (v: number) => 2 * Math.floor((v + 1) / 2 + 0.5) - 1,
      pinv: (v: number) => v,
      slope: () => 1,
    },
  };
  test.each(["hdr", "quant1"] as const)("%s: two steps by hand", async (name) => {
    const engine = await testEngine();
    const { operator, ...a } = kinds[name];
    const values = randomArray(2 * SIZE, 5).map((v) => a.apply(v));
    const y = engine.tensor(values, [2, 1, 4, 4]);
    const problem: Problem = {
      ...{ engine, schedule, operator, y, ts: MCG_TS, draws: recorded(engine) },
      prior: gaussianDenoiser(engine, schedule, freePrior).denoise,
    };
    const result = await mcg.sample(problem, { gradTermWeight: 0.3, eta: 0 });
    const got = await result.read();
    for (const k of [0, 1]) {
      const want = mcgByHand(k, Array.from(values.subarray(k * SIZE, (k + 1) * SIZE)), a);
      want.forEach((v, i) => expect(got[k * SIZE + i], `picture ${k}, pixel ${i}`).toBeCloseTo(v, 4));
    }
    for (const t of [result, y]) t.dispose();
  });
});
