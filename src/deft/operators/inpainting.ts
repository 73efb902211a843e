import { expand, lincomb, mul, type Tensor } from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import type { Operator } from "../operator.ts";

/**
 * inp: keeps the pixels where the mask is 1 and sets the others to 0; y has the image's shape. A = Aᵀ = A† = mask.
 * mask: [N, 1, H, W], 1 = kept. Conditioning: the masked image and the mask. The "deft" convention of the gradient has
 * the opposite sign, as networks trained with the original code expect it.
 */
export function inpainting(mask: Tensor, inShape: readonly [number, number, number]): Operator {
  const [, h, w] = inShape;
  if (mask.dim(1) !== 1 || mask.dim(2) !== h || mask.dim(3) !== w)
    throw new UserError(`inp: mask ${mask.dim(2)}x${mask.dim(3)}; expected the image's ${h}x${w}`);
  const keep = (x: Tensor) => mul(x, mask);
  return {
    name: "inp",
    inShape,
    outShape: inShape,
    held: [mask],
    apply: keep,
    adjoint: keep,
    pinv: keep,
    conditioning: (y) => [y, expand(mask, [y.dim(0), 1, h, w])],
    residualGradient(y, x, convention) {
      if (convention === "deft") return lincomb(1, keep(x), -1, y);
      return keep(lincomb(1, y, -1, x));
    },
  };
}
