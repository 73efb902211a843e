import { affine, concat, mul, type Tensor } from "../tensor/index.ts";
import { guidance, type GuidanceConvention } from "./likelihood.ts";
import type { Operator } from "./operator.ts";

export interface ConditionOptions {
  readonly sigmaY: number;
  readonly useX0hat: boolean;
  /** The guidance g as last channels; else Aᵀy (A†y by the convention "pinv"). */
  readonly useLoggrad: boolean;
  readonly convention: GuidanceConvention;
  /** Factor of g (or Aᵀy) in the network's input at timestep t; default 1. */
  readonly gain?: (t: number) => number;
}

/**
 * The factor of g that makes s = 1 a step of pseudo-inverse guidance (Song et al. 2023): with λ = √ᾱ/√(1−ᾱ),
 * λσ²/(‖A‖² + σ²λ²) of g = Aᵀ(y − A x̂0)/σ², λ/‖A‖² where σ = 0 and g is not divided. Then h = −g moves x̂0 by about A†(y − A x̂0), less
 * where the measurement is noisier than x̂0; without it s would have to grow from 0.01 to 100 over t. A time gate and a first layer
 * absorb any such factor, so what the h-transform can express stays the same. `invNorm` is 1/‖A‖², and 1 where A† stands in place of
 * Aᵀ; that A† amplifies the noise of y by up to 1 over A's least singular value is not in it.
 */
export function guidanceGain(alphaBar: number, sigmaY: number, invNorm: number): number {
  const lambda = Math.sqrt(alphaBar) / Math.sqrt(1 - alphaBar);
  const weight = sigmaY > 0 ? sigmaY ** 2 : 1;
  return (weight * lambda) / (1 / invNorm + (sigmaY * lambda) ** 2);
}

/** Input channels of the h-transform for a task: x_t, x̂0, the operator's own, the guidance. */
export function conditionChannels(imageChannels: number, own: number, useX0hat: boolean): number {
  return imageChannels * (useX0hat ? 3 : 2) + own;
}

/** [x_t, x̂0, the operator's channels, g] along channels (spec section 3); `t`: one timestep an image. */
export function condition(
  operator: Operator,
  xt: Tensor,
  x0Hat: Tensor,
  y: Tensor,
  o: ConditionOptions,
  t: ArrayLike<number>,
): Tensor {
  return xt.engine.scope(() => {
    const at = operator.guidanceAt === "xt" ? xt : x0Hat;
    const g = o.useLoggrad
      ? guidance(operator, y, at, o.sigmaY, o.convention)
      : o.convention === "pinv"
        ? operator.pinv(y)
        : operator.adjoint(y, o.convention);
    const scaled = o.gain ? scaledBy(g, Array.from(t, o.gain)) : g;
    return concat([xt, ...(o.useX0hat ? [x0Hat] : []), ...operator.conditioning(y, x0Hat), scaled], 1);
  });
}

/** Each image times its factor. */
function scaledBy(g: Tensor, factors: readonly number[]): Tensor {
  const [first = 1] = factors;
  if (factors.every((v) => v === first)) return first === 1 ? g : affine(g, first, 0);
  return mul(g, g.engine.tensor(Float32Array.from(factors), [factors.length, 1, 1, 1]));
}
