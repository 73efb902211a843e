// The one matrix product behind every convolution on software adapters: operands are shared inside a subgroup.
import type { Device } from "../gpu/device.ts";
import { defineKernel, MAX_GROUPS, storedAs, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import { broadcasts, defineVariants, LANES, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Where the rows of an operand lie, in quads (vec4s): `row` from one to the next, `next` from one matrix to the next. */
export interface Matrices {
  readonly row: number;
  readonly next: number;
  /** The first of them; 0 if absent. */
  readonly start?: number;
}

/** Matrices of `rows` rows of `row` quads, one after another, from number `first` on. */
export const matrices = (rows: number, row: number, first = 0): Matrices => ({
  row,
  next: rows * row,
  start: first * rows * row,
});

/** out[rows][columns] (+)= left[rows][depth] · right[depth][columns] (+ bias[rows]). */
export interface ProductSizes {
  readonly rows: number;
  readonly depth: number;
  /** Quads of columns in all. */
  readonly columns: number;
  /** Quads of columns of one matrix of right and out, which lie side by side; all if absent. */
  readonly perImage?: number;
  /** Matrices of left and right, whose products are summed, `per` each into a matrix of out; 1 and 1 if absent. */
  readonly segments?: number;
  readonly per?: number;
  readonly left: Matrices;
  readonly right: Matrices;
  readonly out: Matrices;
}

/** Rows of a tile: at most 16, since compile time grows with the tile. */
export const tileRows = (rows: number): number => (rows <= 4 ? 4 : rows <= 8 ? 8 : 16);

const blocksOf = (SG: number, tile: number) => {
  const ROWS = Math.min(SG, tile);
  return { SG, ROWS, BLOCKS: tile / ROWS };
};
const product = defineKernel(wgsl.conv2dProduct, "product", {
  values: combine(
    LANES.flatMap((SG) => [4, 8, 16].map((tile) => blocksOf(SG, tile))),
    each("COLS", 1, 2),
    each("ADD", 0, 1),
    // Forward with tensors in f16 (a 1x1 reads them as they are), or with its workspaces in f32.
    each("L", "f32", "f16"),
    each("R", "f32", "f16"),
    each("O", "f32", "f16"),
  ),
  grid: ({ first, columns, rows, segments, per }, v) => [
    Math.min(MAX_GROUPS, Math.ceil((columns - first) / (Number(v["SG"]) * Number(v["COLS"])))),
    Math.ceil(rows / (Number(v["BLOCKS"]) * Number(v["ROWS"]))),
    Math.ceil(segments / per),
  ],
});

/** Vec4s of columns a lane. Where a broadcast is dear (SwiftShader: subgroups of 4) each feeds two, if there are columns enough. */
interface Width extends Variant<{ columns: number }> {
  readonly COLS: number;
}
const pickWidth = defineVariants<{ columns: number }, Width>("product", [
  { name: "wide", COLS: 2, wins: (device, { columns }) => device.subgroupSize === 4 && columns >= 16 },
  { name: "base", COLS: 1 },
]);

/** Records the product; with `add` onto what out holds. */
export function multiply(
  device: Device,
  buffers: { left: HasBuffer; right: HasBuffer; bias: HasBuffer | null; out: HasBuffer },
  { rows, depth, columns, perImage = columns, segments = 1, per = 1, left, right, out }: ProductSizes,
  add = false,
): void {
  const SG = device.subgroupSize;
  const { COLS } = pickWidth(device, { columns });
  // Of very many columns a launch does as many as its grid holds.
  for (let first = 0; first < columns; first += MAX_GROUPS * SG * COLS)
    product(
      device,
      buffers,
      {
        ...{ first, columns, perImage, rows, depth, segments, per },
        ...{ leftRow: left.row, leftNext: left.next, leftStart: left.start ?? 0 },
        ...{ rightRow: right.row, rightNext: right.next, rightStart: right.start ?? 0 },
        ...{ outRow: out.row, outNext: out.next, outStart: out.start ?? 0 },
        // Where there is none, the placeholder gives zero: a variant less to compile.
        biased: buffers.bias ? 1 : 0,
      },
      {
        ...blocksOf(SG, tileRows(rows)),
        COLS,
        ADD: add ? 1 : 0,
        ...{ L: storedAs(buffers.left), R: storedAs(buffers.right), O: storedAs(buffers.out) },
      },
    );
}

const sumChannel = defineKernel(wgsl.conv2dBias, "sumChannel", {
  grid: ({ channels }) => [channels],
  values: each("SG", ...LANES),
});

/** True where `productBiasGradient` serves: planes of whole quads. */
export const canSumChannels = (device: Device, { plane }: { plane: number }): boolean =>
  broadcasts(device) && plane % 4 === 0;

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function productBiasGradient(
  device: Device,
  buffers: { dy: HasBuffer; out: HasBuffer },
  { n, o, plane }: { n: number; o: number; plane: number },
): void {
  sumChannel(device, buffers, { images: n, channels: o, quads: plane / 4 }, { SG: device.subgroupSize });
}
