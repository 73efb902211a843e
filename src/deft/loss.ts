// The fine-tuning loss (spec section 4; Denker et al. 2024, eq. 13).
import { affine, square, sub, sum, type Tensor } from "../tensor/index.ts";
import { condition, type ConditionOptions } from "./condition.ts";
import { addNoise, predictX0, type Denoiser } from "./denoiser.ts";
import type { HTransform } from "./htransform.ts";
import type { Operator } from "./operator.ts";
import type { Schedule } from "./schedule.ts";

export interface LossInputs {
  readonly schedule: Schedule;
  readonly prior: Denoiser;
  readonly hTransform: HTransform;
  readonly operator: Operator;
  readonly options: ConditionOptions;
  readonly x: Tensor;
  readonly y: Tensor;
  readonly z: Tensor;
  readonly t: ArrayLike<number>;
}

/** What of the loss depends on no weight of the h-transform. */
export interface LossData {
  readonly xt: Tensor;
  /** ε_θ(x_t, t) of the frozen prior. */
  readonly eps2: Tensor;
  readonly conditioning: Tensor;
  /** z − ε_θ, which h_φ shall be. */
  readonly target: Tensor;
}

export interface LossParts extends Omit<LossData, "target"> {
  readonly loss: Tensor;
  /** h_φ(conditioning, t). */
  readonly eps1: Tensor;
}

/** Noise, the prior's estimate and the conditioning; nothing is recorded for gradients. */
export function deftLossData(i: Omit<LossInputs, "hTransform">): LossData {
  const { engine } = i.x;
  return engine.noGrad(() => {
    const xt = addNoise(i.schedule, i.x, i.z, i.t);
    const eps2 = i.prior(xt, i.t);
    const x0Hat = predictX0(i.schedule, xt, eps2, i.t);
    return {
      xt,
      eps2,
      conditioning: condition(i.operator, xt, x0Hat, i.y, i.options, i.t),
      target: sub(i.z, eps2),
    };
  });
}

/** Mean over the batch of Σ (z − h_φ − ε_θ)²: the only gradients are the h-transform's, nothing of the prior is recorded. */
export function deftLoss(i: LossInputs): LossParts {
  const { target, ...data } = deftLossData(i);
  const eps1 = i.hTransform.forward(data.conditioning, i.t);
  return { ...data, loss: squaredError(target, eps1), eps1 };
}

/** Mean over axis 0 of Σ (a − b)². */
export function squaredError(a: Tensor, b: Tensor): Tensor {
  return affine(sum(square(sub(a, b)), { axes: null }), 1 / a.dim(0), 0);
}
