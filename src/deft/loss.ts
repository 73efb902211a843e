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

export interface LossParts {
  readonly loss: Tensor;
  readonly xt: Tensor;
  /** ε_θ(x_t, t) of the frozen prior. */
  readonly eps2: Tensor;
  readonly conditioning: Tensor;
  /** h_φ(conditioning, t). */
  readonly eps1: Tensor;
}

/** Mean over the batch of Σ (z − h_φ − ε_θ)²: the only gradients are the h-transform's, nothing of the prior is recorded. */
export function deftLoss(i: LossInputs): LossParts {
  const { engine } = i.x;
  const { xt, eps2, conditioning } = engine.noGrad(() => {
    const xt = addNoise(i.schedule, i.x, i.z, i.t);
    const eps2 = i.prior(xt, i.t);
    const x0Hat = predictX0(i.schedule, xt, eps2, i.t);
    return { xt, eps2, conditioning: condition(i.operator, xt, x0Hat, i.y, i.options, i.t) };
  });
  const eps1 = i.hTransform.forward(conditioning, i.t);
  const target = engine.noGrad(() => sub(i.z, eps2));
  return { loss: squaredError(target, eps1), xt, eps2, conditioning, eps1 };
}

/** Mean over axis 0 of Σ (a − b)². */
export function squaredError(a: Tensor, b: Tensor): Tensor {
  return affine(sum(square(sub(a, b)), { axes: null }), 1 / a.dim(0), 0);
}
