import { expand, lincomb, mul, reshape, type Engine, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import type { MaskSource } from "../masks.ts";
import { linearOperator, type ImageSize, type Operator, type Spectral } from "../operator.ts";

/** Masks of a batch on the host, 1 = kept, 0 = missing: [N, 1, H, W], or [N, C, H, W] where channels differ. */
export interface Masks {
  readonly values: Float32Array<ArrayBuffer>;
  readonly shape: readonly [n: number, c: number, h: number, w: number];
}

/**
 * inp, in2: keeps the pixels where the mask is 1 and sets the others to 0; y has the image's shape. A = Aᵀ = A† = mask.
 * Conditioning: the masked image and the mask. The "deft" convention of the gradient has the opposite sign, as networks
 * trained with the original code expect it.
 */
export function inpainting(engine: Engine, masks: Masks, inShape: ImageSize): Operator {
  const [c, h, w] = inShape;
  const [n, channels, height, width] = masks.shape;
  if ((channels !== 1 && channels !== c) || height !== h || width !== w)
    throw new UserError(
      `inp: mask of ${channels}x${height}x${width}; expected the image's ${h}x${w}, of 1 or ${c} channels`,
    );
  const mask = engine.tensor(masks.values, masks.shape, "masks");
  const keep = (x: Tensor) => mul(x, mask);
  return linearOperator({
    name: "inp",
    inShape,
    outShape: inShape,
    held: [mask],
    apply: keep,
    adjoint: keep,
    pinv: keep,
    get svd() {
      return spectral(masks, inShape);
    },
    conditioning: (y) => [y, expand(mask, [n, channels, h, w])],
    residualGradient(y, x, convention) {
      if (convention === "deft") return lincomb(1, keep(x), -1, y);
      return keep(lincomb(1, y, -1, x));
    },
  });
}

/** Coefficients are the pixels where they are; an image's singular values are its mask. */
function spectral({ values, shape }: Masks, [c, h, w]: ImageSize): Spectral {
  const [n, channels, size] = [shape[0], shape[1], h * w];
  const singularValues = new Float32Array(n * c * size);
  for (let plane = 0; plane < n * c; plane++) {
    const from = Math.floor((plane * channels) / c) * size;
    singularValues.set(values.subarray(from, from + size), plane * size);
  }
  const flat = (t: Tensor) => reshape(t, [t.dim(0), c * size]);
  const picture = (t: Tensor) => reshape(t, [t.dim(0), c, h, w]);
  return { singularValues, isUnseenAtZero: true, v: picture, vt: flat, u: picture, ut: flat };
}

const kind = (word: string): DegradationKind => ({
  word,
  title: "In-painting",
  effect: "robbed of a part of its pixels",
  isMasked: true,
  likelihood: "inp",
  ownChannels: (channels) => channels + 1,
  footprint: () => pixelwise,
  prepare(shape, _n, { masks }) {
    if (!masks)
      throw new UserError(
        "likelihood.forward_op.mask_filename: in-painting needs masks; pass a file, or mask=freeform",
      );
    const [, h, w] = shape;
    return {
      make(engine, indices) {
        const values = new Float32Array(indices.length * h * w);
        indices.forEach((index, k) => values.set(maskOf(masks, index, h, w), k * h * w));
        return inpainting(engine, { values, shape: [indices.length, 1, h, w] }, shape);
      },
    };
  },
});

function maskOf(masks: MaskSource, index: number, h: number, w: number): Float32Array {
  const mask = masks.mask(index);
  if (mask.length === h * w) return mask;
  throw new UserError(`inp: mask ${masks.height}x${masks.width}; expected the image's ${h}x${w}`);
}

export const inpaintingKind = kind("inp");
export const inpainting2Kind = kind("in2");
