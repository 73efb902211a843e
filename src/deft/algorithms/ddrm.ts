import {
  add,
  affine,
  concat,
  indexSelect,
  mul,
  pad,
  reshape,
  type Engine,
  type Tensor,
} from "../../tensor/index.ts";
import { predictX0 } from "../denoiser.ts";
import { UserError } from "../errors.ts";
import type { Spectral } from "../operator.ts";
import { defineAlgorithm, everywhere, pictures, walk } from "./algorithm.ts";

export interface DdrmOptions {
  /** Half of the measurement noise on [-1, 1]: the noise of pictures in [0, 1]. */
  readonly sigmaY: number;
  readonly eta: number;
  readonly etaB: number;
}

/** What a spectral coordinate becomes: factors of x̂0, ε, ȳ and the noise, and which of the step's draws the noise is from. */
interface Rule {
  readonly x0: number;
  readonly eps: number;
  readonly y: number;
  readonly z: number;
  readonly draw: "all" | "weak" | "strong";
}

/**
 * A coordinate at noise level s of x/√ᾱ, measured through singular value S with noise σ0; null: not measured (Kawar et al. 2022,
 * eq. 7 and 8).
 */
function ruleOf(singular: number | null, s: number, sigma0: number, { eta, etaB }: DdrmOptions): Rule {
  const kept = Math.sqrt(1 - eta ** 2) * s;
  if (singular !== null && singular * s < sigma0) {
    const pull = kept / sigma0;
    return { x0: 1 - pull * singular, eps: 0, y: pull, z: eta * s, draw: "weak" };
  }
  if (singular !== null && singular * s > sigma0) {
    const z = Math.sqrt(s ** 2 - (sigma0 * etaB) ** 2 / singular ** 2);
    return { x0: 1 - etaB, eps: 0, y: etaB / singular, z, draw: "strong" };
  }
  return { x0: 1, eps: kept, y: 0, z: eta * s, draw: "all" };
}

/** The same at the start, where noise has unit variance: ȳ/S with the noise that it lacks, else noise alone. */
function startRule(singular: number | null, s: number, sigma0: number): Rule {
  const rule: Rule = { x0: 0, eps: 0, y: 0, z: 1, draw: "all" };
  if (singular === null || singular * s <= sigma0) return rule;
  return { ...rule, y: 1 / (singular * s), z: Math.sqrt(s ** 2 - sigma0 ** 2 / singular ** 2) / s };
}

interface Coordinates {
  readonly svd: Spectral;
  /** Of an image and of a measurement. */
  readonly d: number;
  readonly m: number;
  /** Images whose singular values differ; 1 when all have the same. */
  readonly rows: number;
}

/** The rule of each coordinate, image after image. */
function rulesOf({ svd, d, m, rows }: Coordinates, rule: (singular: number | null) => Rule): Rule[] {
  const known = new Map<number, Rule>();
  const unmeasured = rule(null);
  return Array.from({ length: rows * d }, (_, i) => {
    const k = i % d;
    if (k >= m) return unmeasured;
    const singular = svd.singularValues[((i - k) / d) * m + k] as number;
    const found = known.get(singular) ?? rule(singular);
    known.set(singular, found);
    return found;
  });
}

/** One factor of all rules, [rows, D]. */
function factors(engine: Engine, rules: readonly Rule[], d: number, name: "x0" | "eps" | "y" | "z"): Tensor {
  return engine.tensor(
    Float32Array.from(rules, (r) => r[name]),
    [rules.length / d, d],
  );
}

/**
 * The noise of a step, [N, D], from its draws in this order: D numbers an image; as many as have weak coordinates (where there are
 * any); one for each coordinate of a measurement.
 */
function noiseOf(
  engine: Engine,
  n: number,
  { d, m, rows }: Coordinates,
  rules: readonly Rule[],
  normal: (shape: readonly number[]) => Tensor,
): Tensor {
  const weakBefore = new Uint32Array(rules.length);
  let weak = 0;
  for (let row = 0; row < rows; row++) {
    let count = 0;
    for (let i = row * d; i < (row + 1) * d; i++) weakBefore[i] = rules[i]?.draw === "weak" ? count++ : count;
    weak = Math.max(weak, count);
  }
  const width = d + weak + m;
  const places = Uint32Array.from(rules, ({ draw }, i) => {
    const k = i % d;
    const place = draw === "all" ? k : draw === "weak" ? d + (weakBefore[i] as number) : d + weak + k;
    return rows === 1 ? place : ((i - k) / d) * width + place;
  });
  const draws = [normal([n, d]), ...(weak > 0 ? [normal([n, weak])] : []), normal([n, m])];
  const side = concat(draws, 1);
  if (rows === 1) return indexSelect(side, 1, engine.tensor(places));
  return reshape(indexSelect(reshape(side, [n * width]), 0, engine.tensor(places)), [n, d]);
}

/**
 * Denoising diffusion restoration (Kawar et al. 2022): the step is made in the coordinates of A = U Σ Vᵀ, each by how its noise
 * compares with the measurement's, σ0 = 2 sigmaY. One network call a step, no gradient through the prior. Throws UserError for
 * an operator without a singular value decomposition.
 */
export const ddrm = defineAlgorithm<DdrmOptions>(
  "ddrm",
  1,
  { sigmaY: 0, eta: 0.85, etaB: 1 },
  async (p, o) => {
    const { engine, schedule, operator, y, draws } = p;
    const { svd } = operator;
    if (!svd)
      throw new UserError(
        `ddrm: ${operator.name} has no singular value decomposition; take pgdm, dps or reddiff for it`,
      );
    const [n, d] = [y.dim(0), operator.inShape.reduce((a, b) => a * b, 1)];
    const { yBar, m } = engine.scope(() => {
      const coordinates = svd.ut(y);
      const m = coordinates.dim(1);
      return { m, yBar: pad(coordinates, [[0, d - m]]) };
    });
    const at: Coordinates = { svd, d, m, rows: svd.singularValues.length / m };
    const sigma0 = 2 * o.sigmaY;
    const level = (t: number): number => Math.sqrt(1 / schedule.alphaBar(t) - 1);
    const start = engine.scope(() => {
      const s = level(p.ts.at(-1) as number);
      const rules = rulesOf(at, (singular) => startRule(singular, s, sigma0));
      const noise = reshape(draws.normal(pictures(p)), [n, d]);
      return svd.v(
        add(mul(factors(engine, rules, d, "y"), yBar), mul(factors(engine, rules, d, "z"), noise)),
      );
    });
    const result = await walk(p, start, (xt, { t, s }) => {
      const ts = everywhere(xt, t);
      const eps = p.prior(xt, ts);
      const x0 = predictX0(schedule, xt, eps, ts);
      const rules = rulesOf(at, (singular) => ruleOf(singular, level(s), sigma0, o));
      const parts = {
        x0: svd.vt(x0),
        eps: svd.vt(eps),
        y: yBar,
        z: noiseOf(engine, n, at, rules, (shape) => draws.normal(shape)),
      };
      const next = (["x0", "eps", "y", "z"] as const)
        .map((name) => mul(factors(engine, rules, d, name), parts[name]))
        .reduce((a, b) => add(a, b));
      return { x0, next: affine(svd.v(next), Math.sqrt(schedule.alphaBar(s)), 0) };
    });
    yBar.dispose();
    return result;
  },
);
