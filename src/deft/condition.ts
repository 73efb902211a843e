import { affine, concat, type Tensor } from "../tensor/index.ts";
import { guidance } from "./likelihood.ts";
import type { Convention, Operator } from "./operator.ts";

export interface ConditionOptions {
  readonly sigmaY: number;
  readonly useX0hat: boolean;
  /** The guidance g as last channels; else Aᵀy. */
  readonly useLoggrad: boolean;
  readonly convention: Convention;
  /** Factor of g (or Aᵀy) in the network's input: brings operators whose norm is far from one to the scale of the others. Default 1. */
  readonly gain?: number;
}

/** Input channels of the h-transform for a task: x_t, x̂0, the operator's own, the guidance. */
export function conditionChannels(imageChannels: number, own: number, useX0hat: boolean): number {
  return imageChannels * (useX0hat ? 3 : 2) + own;
}

/** [x_t, x̂0, the operator's channels, g] along channels (spec section 3). */
export function condition(
  operator: Operator,
  xt: Tensor,
  x0Hat: Tensor,
  y: Tensor,
  o: ConditionOptions,
): Tensor {
  return xt.engine.scope(() => {
    const at = operator.guidanceAt === "xt" ? xt : x0Hat;
    const g = o.useLoggrad
      ? guidance(operator, y, at, o.sigmaY, o.convention)
      : operator.adjoint(y, o.convention);
    const scaled = o.gain === undefined || o.gain === 1 ? g : affine(g, o.gain, 0);
    return concat([xt, ...(o.useX0hat ? [x0Hat] : []), ...operator.conditioning(y, x0Hat), scaled], 1);
  });
}
