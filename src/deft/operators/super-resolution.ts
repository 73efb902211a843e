import { avgPool2d, lincomb, affine, upsampleNearest, type Tensor } from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import type { Operator } from "../operator.ts";

/**
 * sr{k}: the mean of each k×k block. A [C,H,W] → [C,H/k,W/k]; Aᵀ y spreads y/k² over the block; A† y repeats y over it.
 * Both sides must be multiples of k.
 */
export function superResolution(k: number, inShape: readonly [number, number, number]): Operator {
  const [c, h, w] = inShape;
  if (!Number.isInteger(k) || k < 2)
    throw new UserError(`sr${k}: the factor is ${k}; expected a whole number from 2 on`);
  if (h % k !== 0 || w % k !== 0)
    throw new UserError(`sr${k}: image ${h}x${w}; expected sides that are multiples of ${k}`);
  const apply = (x: Tensor) => avgPool2d(x, k);
  const pinv = (y: Tensor) => upsampleNearest(y, k);
  const adjoint = (y: Tensor) => affine(pinv(y), 1 / (k * k), 0);
  return {
    name: `sr${k}`,
    inShape,
    outShape: [c, h / k, w / k],
    held: [],
    apply,
    adjoint,
    pinv,
    conditioning: () => [],
    residualGradient: (y, x) => adjoint(lincomb(1, y, -1, apply(x))),
  };
}
