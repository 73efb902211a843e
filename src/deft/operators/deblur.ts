import type { Engine } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { pixelwise } from "../footprint.ts";
import type { ImageSize, Operator } from "../operator.ts";
import { cutBelow, svd } from "../svd.ts";
import { separable, type SeparableSvd } from "./separable.ts";

/** The blurs that have a name. */
export type NamedBlur = "deblur_uni" | "deblur_gauss";

/** Taps of each blur, not normalised: uniform of 9; Gaussian of 5 with σ = 25. */
const taps: { readonly [name in NamedBlur]: readonly number[] } = {
  deblur_uni: new Array<number>(9).fill(1),
  deblur_gauss: [-2, -1, 0, 1, 2].map((x) => Math.exp(-0.5 * (x / 25) ** 2)),
};

/** Singular values of the blur of one axis below this are 0, in A as in A†. */
const LEAST = 0.03;

/**
 * deblur_uni, deblur_gauss: separable blur with zeros outside, of the image's shape; singular values of each axis under 0.03
 * are cut (golden/REFERENCE.md section D: the last tap is dropped). Any sides.
 */
export function deblur(
  engine: Engine,
  name: NamedBlur,
  inShape: ImageSize,
  matrices = deblurMatrices(name, inShape),
): Operator {
  return separable(engine, name, inShape, matrices);
}

/** Decompositions of the blurs of rows and columns; float64 on the host, so worth keeping for the next batch. */
export function deblurMatrices(name: NamedBlur, [, h, w]: ImageSize): SeparableSvd {
  const of = (side: number) => cutBelow(svd(blurMatrix(taps[name], side), side, side), LEAST);
  const rows = of(h);
  return { rows, columns: w === h ? rows : of(w) };
}

/** H[i,j] = kernel[j − i + ⌊K/2⌋] for j = i − ⌊K/2⌋ … i + ⌊K/2⌋ − 1, the kernel's sum being 1 over all K taps. */
function blurMatrix(kernel: readonly number[], side: number): Float64Array {
  const total = kernel.reduce((a, b) => a + b, 0);
  const half = Math.floor(kernel.length / 2);
  const matrix = new Float64Array(side * side);
  for (let i = 0; i < side; i++)
    for (let j = Math.max(0, i - half); j < Math.min(side, i + half); j++)
      matrix[i * side + j] = (kernel[j - i + half] as number) / total;
  return matrix;
}

const kind = (name: NamedBlur): DegradationKind => ({
  word: name,
  title: "Deblurring",
  effect: "blurred along both sides",
  likelihood: "blur",
  // Cutting singular values spreads what a pixel sees further, by less than LEAST of the picture's norm.
  footprint: () => ({ ...pixelwise, halo: Math.floor(taps[name].length / 2) }),
  prepare(shape) {
    const matrices = deblurMatrices(name, shape);
    return { make: (engine) => deblur(engine, name, shape, matrices) };
  },
});

export const deblurUniformKind = kind("deblur_uni");
export const deblurGaussKind = kind("deblur_gauss");
