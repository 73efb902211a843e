import { reshape, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { pixelwise } from "../footprint.ts";
import { linearOperator, type ImageSize, type Operator } from "../operator.ts";

/** deno: y = x, of the image's shape; what is left to do is the noise. Its spectral form is the flat image, S = 1. */
export function denoising(inShape: ImageSize): Operator {
  const size = inShape.reduce((a, b) => a * b, 1);
  const same = (x: Tensor) => reshape(x, x.shape);
  const flat = (x: Tensor) => reshape(x, [x.dim(0), size]);
  const picture = (c: Tensor) => reshape(c, [c.dim(0), ...inShape]);
  return linearOperator({
    name: "deno",
    isOnto: true,
    inShape,
    outShape: inShape,
    apply: same,
    adjoint: same,
    pinv: same,
    svd: { singularValues: new Float32Array(size).fill(1), v: picture, vt: flat, u: picture, ut: flat },
  });
}

export const denoisingKind: DegradationKind = {
  word: "deno",
  title: "Denoising",
  effect: "left as it is",
  isIdentity: true,
  footprint: () => pixelwise,
  prepare: (shape) => ({ make: () => denoising(shape) }),
};
