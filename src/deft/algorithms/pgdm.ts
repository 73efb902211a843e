import { affine, lincomb, mean, mul, reciprocal, std, sub, type Tensor } from "../../tensor/index.ts";
import { bool, number } from "../config/fields.ts";
import { ddimCoefficients } from "../schedule.ts";
import { ddimStep, defineAlgorithm, pullBack, startFromPinv, walk, type Problem } from "./algorithm.ts";
import { eta, gradTermWeight } from "./options.ts";

/**
 * Pseudo-inverse guidance (Song et al., ICLR 2023, algorithm 1): x_s = DDIM step + w·k·Jᵀ(A†y − A†A x̂0), J = ∂x̂0/∂x_t of the prior,
 * k = √(ᾱ_s ᾱ_t) with awd, else √ᾱ_t(√ᾱ_s − c2 √ᾱ_t/√(1−ᾱ_t)). One network call and one pass back a step.
 * project: x̂0 takes A†y where A sees it, and the correction only acts where A does not. contrastWeight adds that many times the
 * gradient of each picture's standard deviation to A†y − A†A x̂0, against pictures that a clipped measurement leaves flat. That gradient
 * falls with the picture's numbers, so the weight, which is meant for 3·256², is brought down with them.
 *
 * Many steps without noise draw the posterior of a Gaussian prior, at any η, where A†A and the prior's covariance commute: A does not
 * mix coordinates of different variance. Else the guidance, which takes all of x̂0's errors for equally large, is an approximation.
 */
export const pgdm = defineAlgorithm(
  "pgdm",
  1,
  {
    gradTermWeight: gradTermWeight(1),
    eta: eta(0),
    awd: bool(true, "gradient coefficient sqrt(alpha_s alpha_t)"),
    project: bool(false, "the estimate takes A†y where A sees it"),
    contrastWeight: number(0, "weight of the gradient of the contrast, at 3 x 256 x 256", { min: 0 }),
  },
  (p, o) =>
    walk(p, startFromPinv(p), (xt, at) => {
      const [alphaT, alphaS] = [p.schedule.alphaBar(at.t), p.schedule.alphaBar(at.s)];
      const { eps, x0, pulled } = pullBack(p, xt, at.t, (x) => {
        const v = towardsPinv(p, x);
        return o.contrastWeight === 0
          ? v
          : lincomb(1, v, (o.contrastWeight * x.size) / (x.dim(0) * MEANT_FOR), contrastGradient(x));
      });
      const { c2 } = ddimCoefficients(alphaT, alphaS, o.eta);
      const k = o.awd
        ? Math.sqrt(alphaS * alphaT)
        : Math.sqrt(alphaT) * (Math.sqrt(alphaS) - (c2 * Math.sqrt(alphaT)) / Math.sqrt(1 - alphaT));
      const weight = o.gradTermWeight * k;
      if (!o.project) return { x0, next: lincomb(1, ddimStep(p, at, { x0, eps }, o.eta), weight, pulled) };
      const projected = lincomb(1, x0, 1, towardsPinv(p, x0));
      const unseen = lincomb(1, pulled, -1, p.operator.pinv(p.operator.apply(pulled)));
      return { x0, next: lincomb(1, ddimStep(p, at, { x0: projected, eps }, o.eta), weight, unseen) };
    }),
  { in2: { project: true }, hdr: { contrastWeight: 1500 } },
);

/** Numbers of a picture of 3×256×256. */
const MEANT_FOR = 3 * 256 ** 2;

/** A†y − A†A x. */
function towardsPinv({ operator, y }: Problem, x: Tensor): Tensor {
  return lincomb(1, operator.pinv(y), -1, operator.pinv(operator.apply(x)));
}

/** The gradient of each picture's standard deviation (unbiased, over C, H, W): (x − mean)/((n−1)·std). */
function contrastGradient(x: Tensor): Tensor {
  const axes = [1, 2, 3];
  const n = x.size / x.dim(0);
  const centred = sub(x, mean(x, { axes, keepdim: true }));
  const scale = reciprocal(std(x, { axes, keepdim: true, unbiased: true }));
  return affine(mul(centred, scale), 1 / (n - 1), 0);
}
