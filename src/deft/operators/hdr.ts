import { affine, clamp, lincomb, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { pixelwise } from "../footprint.ts";
import { defineOperator, vjpByTape, type ImageSize, type Operator } from "../operator.ts";

/**
 * hdr: y = clip(2x, −1, 1), of the image's shape. A† y = y/2, which also stands for the adjoint: the gradient is the
 * surrogate A†(y − A x), which does not vanish where the clip is flat, in both conventions (spec section 3).
 */
export function hdr(inShape: ImageSize): Operator {
  const apply = (x: Tensor) => clamp(affine(x, 2, 0), -1, 1);
  const pinv = (y: Tensor) => affine(y, 0.5, 0);
  return defineOperator({
    name: "hdr",
    inShape,
    outShape: inShape,
    apply,
    adjoint: pinv,
    pinv,
    vjp: (x, v) => vjpByTape(apply, x, v),
    residualGradient: (y, x) => pinv(lincomb(1, y, -1, apply(x))),
  });
}

export const hdrKind: DegradationKind = {
  word: "hdr",
  title: "High dynamic range",
  effect: "made twice as bright and clipped",
  likelihood: "hdr",
  footprint: () => pixelwise,
  prepare: (shape) => ({ make: () => hdr(shape) }),
};
