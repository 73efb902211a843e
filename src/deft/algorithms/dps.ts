import { affine, clamp, l2norm, lincomb, reciprocal, reshape } from "../../tensor/index.ts";
import { bool } from "../config/fields.ts";
import { ddimStep, defineAlgorithm, pullBack, pullResidual, startFromPinv, walk } from "./algorithm.ts";
import { eta, gradTermWeight } from "./options.ts";

/**
 * Diffusion posterior sampling (Chung et al. 2023, algorithm 1): x_s = DDIM step − ζ·∇_{x_t}‖y − A x̂0‖², the gradient through the
 * prior; ζ = gradTermWeight/‖y − A x̂0‖ of each picture, or gradTermWeight·√(ᾱ_s ᾱ_t) where not original. One network call and one
 * pass back a step.
 */
export const dps = defineAlgorithm(
  "dps",
  1,
  {
    gradTermWeight: gradTermWeight(0.1),
    eta: eta(0),
    original: bool(true, "step along the gradient as published"),
  },
  (p, o) =>
    walk(p, startFromPinv(p), (xt, at) => {
      const { eps, x0, pulled } = pullBack(p, xt, at.t, (x) => pullResidual(p, x));
      const moved = ddimStep(p, at, { x0, eps }, o.eta);
      // −∇‖y − A x̂0‖² = 2 Jᵀ Aᵀ(y − A x̂0).
      if (!o.original) {
        const zeta = o.gradTermWeight * Math.sqrt(p.schedule.alphaBar(at.s) * p.schedule.alphaBar(at.t));
        return { x0, next: lincomb(1, moved, 2 * zeta, pulled) };
      }
      const residual = reshape(lincomb(1, p.y, -1, p.operator.apply(x0)), [x0.dim(0), -1]);
      // Where nothing is left to correct, the gradient is 0 and so is the step.
      const norm = clamp(l2norm(residual, { axes: [1] }), 1e-20, Infinity);
      return { x0, next: lincomb(1, moved, affine(reciprocal(norm), 2 * o.gradTermWeight, 0), pulled) };
    }),
  { sr4: { gradTermWeight: 1 } },
);
