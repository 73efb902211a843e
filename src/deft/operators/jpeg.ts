import {
  affine,
  concat,
  div,
  indexSelect,
  lincomb,
  matmul,
  mul,
  reshape,
  round,
  slice,
  upsampleNearest,
  type Engine,
  type Tensor,
} from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import { defineOperator, vjpByTape, type ImageSize, type Operator } from "../operator.ts";
import { quantisationTables } from "./jpeg-tables.ts";

/** Red, green and blue to luma and two chromas (JFIF, with the rounded coefficients of golden/REFERENCE.md section D). */
const TO_YCC = [0.299, 0.587, 0.114, -0.1687, -0.3313, 0.5, 0.5, -0.4187, -0.0813];

/** Quantised coefficients of 8×8 blocks, laid out as an image: luma [N,1,H,W], chroma [N,2,H/2,W/2] (null for grey). */
export interface JpegCoefficients {
  readonly luma: Tensor;
  readonly chroma: Tensor | null;
}

type Quantise = (coefficients: Tensor) => Tensor;

/**
 * jpeg{q}: baseline JPEG of quality q, 4:2:0, standard tables, decoded again: y has the image's shape. Images of 3 channels,
 * or 1 (luma alone); sides that are no multiple of 16 are continued at the edge. A† = 1. Rounding has no useful Jacobian: vjp
 * takes it for the identity, the guidance is the surrogate y − A x.
 */
export function jpeg(quality: number, inShape: ImageSize): Operator {
  if (!(quality >= 1 && quality <= 100))
    throw new UserError(`jpeg${quality}: the quality is ${quality}; expected 1 to 100`);
  greyOrColor(inShape, quality);
  const through = (x: Tensor, quantise: Quantise) =>
    x.engine.scope(() => jpegDecode(jpegEncode(x, quality, quantise), quality, inShape));
  const apply = (x: Tensor) => through(x, round);
  const same = (y: Tensor) => reshape(y, y.shape);
  return defineOperator({
    name: `jpeg${quality}`,
    inShape,
    outShape: inShape,
    apply,
    adjoint: same,
    pinv: same,
    vjp: (x, v) => vjpByTape((leaf) => through(leaf, same), x, v),
    residualGradient: (y, x) => lincomb(1, y, -1, apply(x)),
  });
}

/** Coefficients of x [N,C,H,W] in [-1, 1]. */
export function jpegEncode(x: Tensor, quality: number, quantise: Quantise = round): JpegCoefficients {
  const { engine } = x;
  const tables = quantisationTables(quality);
  const levels = affine(continued(x), 127.5, 127.5);
  const coded = (t: Tensor, table: readonly number[]) =>
    quantise(div(byBlocks(transform(affine(t, 1, -128), false)), tableOf(engine, table)));
  if (x.dim(1) === 1) return { luma: asImage(coded(levels, tables.luma)), chroma: null };
  const [n, h, w] = [levels.dim(0), levels.dim(2), levels.dim(3)];
  const ycc = mixed(levels, TO_YCC);
  const chroma = affine(slice(ycc, [0, 1, 0, 0], [n, 3, h, w], [1, 1, 2, 2]), 1, 128);
  return {
    luma: asImage(coded(slice(ycc, [0, 0], [n, 1]), tables.luma)),
    chroma: asImage(coded(chroma, tables.chroma)),
  };
}

/** The picture [N,C,H,W] of its coefficients, not clamped. */
export function jpegDecode(c: JpegCoefficients, quality: number, [channels, h, w]: ImageSize): Tensor {
  const { engine } = c.luma;
  const tables = quantisationTables(quality);
  const decoded = (t: Tensor, table: readonly number[]) =>
    affine(transform(asImage(mul(byBlocks(t), tableOf(engine, table))), true), 1, 128);
  const luma = decoded(c.luma, tables.luma);
  const parts = c.chroma && upsampleNearest(affine(decoded(c.chroma, tables.chroma), 1, -128), 2);
  const levels = parts ? mixed(concat([luma, parts], 1), inverse3(TO_YCC)) : luma;
  return slice(affine(levels, 1 / 127.5, -1), [0, 0, 0, 0], [levels.dim(0), channels, h, w]);
}

/** Sides up to the next multiple of 16, by repeating the last row and column. */
function continued(x: Tensor): Tensor {
  const along = (t: Tensor, axis: number): Tensor => {
    const side = t.dim(axis);
    if (side % 16 === 0) return t;
    const places = Uint32Array.from({ length: 16 * Math.ceil(side / 16) }, (_, i) => Math.min(i, side - 1));
    return indexSelect(t, axis, t.engine.tensor(places));
  };
  return along(along(x, 2), 3);
}

/** Three channels by a 3×3 matrix. */
function mixed(x: Tensor, matrix: readonly number[]): Tensor {
  const [n, h, w] = [x.dim(0), x.dim(2), x.dim(3)];
  const m = x.engine.tensor(Float32Array.from(matrix), [3, 3], "color matrix");
  return reshape(matmul(m, reshape(x, [n, 3, h * w])), [n, 3, h, w]);
}

/** Orthonormal 8×8 DCT of each block in place, or its inverse. */
function transform(x: Tensor, backwards: boolean): Tensor {
  const dct = x.engine.tensor(dctMatrix, [8, 8], "DCT");
  const { shape } = x;
  const rows = matmul(dct, reshape(x, [x.size / (8 * x.dim(3)), 8, x.dim(3)]), { transposeA: backwards });
  return reshape(matmul(reshape(rows, [x.size / 8, 8]), dct, { transposeB: !backwards }), shape);
}

const dctMatrix = Float32Array.from({ length: 64 }, (_, i) => {
  const [k, n] = [Math.floor(i / 8), i % 8];
  return Math.sqrt((k === 0 ? 1 : 2) / 8) * Math.cos(((2 * n + 1) * k * Math.PI) / 16);
});

/** [N,C,H,W] as [planes·H/8, 8, W/8, 8], where a table of [8, 1, 8] fits every block. */
const byBlocks = (x: Tensor): Tensor => reshape(x, [x.dim(0), x.dim(1), x.dim(2) / 8, 8, x.dim(3) / 8, 8]);
const asImage = (x: Tensor): Tensor =>
  reshape(x, [x.dim(0), x.dim(1), x.dim(2) * x.dim(3), x.dim(4) * x.dim(5)]);
const tableOf = (engine: Engine, table: readonly number[]): Tensor =>
  engine.tensor(Float32Array.from(table), [8, 1, 8], "quantisation table");

function inverse3(m: readonly number[]): number[] {
  const at = (i: number, j: number) => m[(i % 3) * 3 + (j % 3)] as number;
  const cofactor = (i: number, j: number) =>
    at(i + 1, j + 1) * at(i + 2, j + 2) - at(i + 1, j + 2) * at(i + 2, j + 1);
  const det = [0, 1, 2].reduce((sum, j) => sum + at(0, j) * cofactor(0, j), 0);
  return Array.from({ length: 9 }, (_, k) => cofactor(k % 3, Math.floor(k / 3)) / det);
}

export const jpegKind: DegradationKind = {
  word: "jpeg",
  title: "JPEG of quality {k}",
  effect: "compressed as JPEG of quality {k}",
  number: { symbol: "q", least: 1, most: 100, meaning: "a quality q from 1 to 100", example: "jpeg20" },
  outShape: greyOrColor,
  // Blocks of 8, of 16 where the chromas are halved.
  footprint: ([channels]) => ({ ...pixelwise, block: channels === 1 ? 8 : 16 }),
  prepare: (shape, quality) => ({ make: () => jpeg(quality, shape) }),
};

function greyOrColor(shape: ImageSize, quality: number): ImageSize {
  if (shape[0] === 1 || shape[0] === 3) return shape;
  throw new UserError(`jpeg${quality}: images of ${shape[0]} channels; expected 1 or 3`);
}
