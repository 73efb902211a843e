import type { Engine } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import type { ImageSize, Operator } from "../operator.ts";
import { svd } from "../svd.ts";
import { separable, type SeparableSvd } from "./separable.ts";
import { reduced } from "./super-resolution.ts";

/**
 * bicubic{k}: reduction by k with Keys' kernel (a = −0.5) of 4k taps, separable, reflected at the edges, [C,H,W] →
 * [C,H/k,W/k]. Both sides must be multiples of k. Keys 1981, golden/REFERENCE.md section D.
 */
export function bicubic(
  engine: Engine,
  k: number,
  inShape: ImageSize,
  matrices = bicubicMatrices(k, inShape),
): Operator {
  return separable(engine, `bicubic${k}`, inShape, matrices);
}

/** Decompositions of the reductions of rows and columns; float64 on the host, so worth keeping for the next batch. */
export function bicubicMatrices(k: number, shape: ImageSize): SeparableSvd {
  const [, h, w] = shape;
  if (!Number.isInteger(k) || k < 2)
    throw new UserError(`bicubic${k}: the factor is ${k}; expected a whole number from 2 on`);
  reduced("bicubic", shape, k);
  const rows = svd(reduction(k, h), h / k, h);
  return { rows, columns: w === h ? rows : svd(reduction(k, w), w / k, w) };
}

/** The matrix of one axis: row n holds the taps around ⌊k/2⌋ + n·k. */
function reduction(k: number, side: number): Float64Array {
  const taps = Array.from({ length: 4 * k }, (_, i) => keys(Math.abs((i - 2 * k + 0.5) / k)));
  const total = taps.reduce((a, b) => a + b, 0);
  const matrix = new Float64Array((side / k) * side);
  for (let row = 0; row < side / k; row++)
    taps.forEach((tap, i) => {
      const at = row * side + reflect(Math.floor(k / 2) + row * k - 2 * k + i, side);
      matrix[at] = (matrix[at] as number) + tap / total;
    });
  return matrix;
}

/** The place that −j−1 and 2·side−1−j stand for. */
function reflect(j: number, side: number): number {
  const place = ((j % (2 * side)) + 2 * side) % (2 * side);
  return place < side ? place : 2 * side - 1 - place;
}

function keys(x: number): number {
  if (x <= 1) return 1.5 * x ** 3 - 2.5 * x ** 2 + 1;
  return x < 2 ? -0.5 * x ** 3 + 2.5 * x ** 2 - 4 * x + 2 : 0;
}

export const bicubicKind: DegradationKind = {
  word: "bicubic",
  title: "Bicubic {k}× super-resolution",
  effect: "shrunk {k} times by bicubic weights",
  number: { symbol: "k", least: 2, most: 9999, meaning: "a factor k of 2 or more", example: "bicubic4" },
  outShape: (shape, k) => reduced("bicubic", shape, k),
  // Its 4k taps begin 2k − ⌊k/2⌋ pixels before the k of its own.
  footprint: (_shape, k) => ({ ...pixelwise, scale: k, block: k, halo: 2 * k - Math.floor(k / 2) }),
  gain: (_shape, k) => k * k,
  prepare(shape, k) {
    const matrices = bicubicMatrices(k, shape);
    return { make: (engine) => bicubic(engine, k, shape, matrices) };
  },
};
