import { lincomb, type Tensor } from "../../tensor/index.ts";
import { addNoise } from "../denoiser.ts";
import {
  ddimStep,
  defineAlgorithm,
  everywhere,
  pullBack,
  pullResidual,
  startFromPinv,
  walk,
} from "./algorithm.ts";
import { eta, gradTermWeight } from "./options.ts";

/**
 * Manifold-constrained gradient (Chung et al. 2022, algorithm 1): x′ = DDIM step − w √ᾱ_t ∇_{x_t}‖y − A x̂0‖², the gradient through
 * the prior, then x_s = x′ − A†A x′ + A†A y_s with y_s = √ᾱ_s A†y + √(1−ᾱ_s) z. One network call and one pass back a step.
 */
export const mcg = defineAlgorithm("mcg", 1, { gradTermWeight: gradTermWeight(1), eta: eta(0) }, (p, o) =>
  walk(p, startFromPinv(p), (xt, at) => {
    const { operator, schedule, y } = p;
    const { eps, x0, pulled } = pullBack(p, xt, at.t, (x) => pullResidual(p, x));
    const moved = ddimStep(p, at, { x0, eps }, o.eta);
    const weight = 2 * o.gradTermWeight * Math.sqrt(schedule.alphaBar(at.t));
    const corrected = lincomb(1, moved, weight, pulled);
    const noisy = addNoise(schedule, operator.pinv(y), p.draws.normal(x0.shape), everywhere(x0, at.s));
    const seen = (x: Tensor): Tensor => operator.pinv(operator.apply(x));
    const change = operator.isLinear
      ? seen(lincomb(1, noisy, -1, corrected))
      : lincomb(1, seen(noisy), -1, seen(corrected));
    return { x0, next: lincomb(1, corrected, 1, change) };
  }),
);
