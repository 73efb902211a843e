import { add, affine, mul, reshape } from "../../tensor/index.ts";
import { number } from "../config/fields.ts";
import { predictX0 } from "../denoiser.ts";
import { UserError } from "../errors.ts";
import { defineAlgorithm, everywhere, pictures, walk } from "./algorithm.ts";
import { Coordinates, type Rule } from "./coordinates.ts";
import { eta, type OptionsOf } from "./options.ts";

const options = {
  /** Half of the measurement noise on [-1, 1]: the noise of pictures in [0, 1]. */
  sigmaY: number(0, "noise of y for pictures in [0, 1]", { min: 0 }),
  eta: eta(0.85),
  etaB: number(1, "weight of the measurement", { min: 0, max: 1 }),
};
type DdrmOptions = OptionsOf<typeof options>;

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

/**
 * Denoising diffusion restoration (Kawar et al. 2022): the step is made in the coordinates of A = U Σ Vᵀ, each by how its noise
 * compares with the measurement's, σ0 = 2 sigmaY. One network call a step, no gradient through the prior. Throws UserError for
 * an operator without a singular value decomposition.
 *
 * x̂0 stands for the picture, whose spread about x̂0 the step leaves out; only at η = 0, where ε brings it back, do many steps draw
 * the posterior. For a prior that is Gaussian and diagonal in the coordinates, without noise, the mean is the posterior's at every
 * η, the variance of what is not measured tends to (1 + √(1−η²))/2 of it: 0.76 at η = 0.85. Where A mixes coordinates of different
 * variance the mean is off too, most at η = 0.
 */
export const ddrm = defineAlgorithm("ddrm", 1, options, async (p, o) => {
  const { engine, schedule, operator, y, draws } = p;
  const { svd } = operator;
  if (!svd)
    throw new UserError(
      `ddrm: ${operator.name} has no singular value decomposition; take pgdm, dps or reddiff for it`,
    );
  const size = operator.inShape.reduce((a, b) => a * b, 1);
  const at = new Coordinates(svd, y, size);
  const sigma0 = 2 * o.sigmaY;
  const level = (t: number): number => Math.sqrt(1 / schedule.alphaBar(t) - 1);
  const start = engine.scope(() => {
    const s = level(p.ts.at(-1) as number);
    const rules = at.rules((singular) => startRule(singular, s, sigma0));
    const noise = reshape(draws.normal(pictures(p)), [y.dim(0), size]);
    return svd.v(add(mul(at.factors(rules, "y"), at.y), mul(at.factors(rules, "z"), noise)));
  });
  const result = await walk(p, start, (xt, { t, s }) => {
    const ts = everywhere(xt, t);
    const eps = p.prior(xt, ts);
    const x0 = predictX0(schedule, xt, eps, ts);
    const rules = at.rules((singular) => ruleOf(singular, level(s), sigma0, o));
    const parts = {
      x0: svd.vt(x0),
      eps: svd.vt(eps),
      y: at.y,
      z: at.noise(rules, (shape) => draws.normal(shape)),
    };
    const next = (["x0", "eps", "y", "z"] as const)
      .map((name) => mul(at.factors(rules, name), parts[name]))
      .reduce((a, b) => add(a, b));
    return { x0, next: affine(svd.v(next), Math.sqrt(schedule.alphaBar(s)), 0) };
  });
  at.dispose();
  return result;
});
