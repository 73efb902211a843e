// Sums and other folds along axes. A million floats to one on lavapipe: 1.04 ms as `runs`, 1.24 as `base`.
import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import { defineVariants, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

const folds = combine(
  [{ OP: 0 }, { OP: 1 }],
  each("SQUARE", 0, 1),
  each("ROOT", 0, 1),
  each("STRIDED", 0, 1),
  [
    { V: 4, T: "vec4f" },
    { V: 1, T: "f32" },
  ],
);
const rows = defineKernel(wgsl.reduce, "rows", {
  grid: ({ outer, chunks }) => grid1d(outer * chunks, 64),
  values: folds,
});
const columns = defineKernel(wgsl.reduce, "columns", {
  grid: ({ outer, chunks, inner }) => grid1d(outer * chunks * inner, 64),
  values: folds,
});

export interface Fold {
  readonly outer: number;
  readonly length: number;
  readonly inner: number;
  /** Chunks of each line: the length of the result's middle axis. */
  readonly chunks: number;
  readonly op: "sum" | "max";
  /** Squares the values first. */
  readonly square: boolean;
  /** Multiplies the result. */
  readonly scale: number;
  /** Takes the square root of the scaled result. */
  readonly root: boolean;
}

type Line = Pick<Fold, "outer" | "length" | "inner">;
interface ReduceVariant extends Variant<Line> {
  readonly strided: number;
  readonly threads: number;
  readonly atLeast: number;
}
// A CPU's lane prefers a run of its own; on a GPU neighbouring lanes read neighbouring cells, and many more are needed.
const variants: readonly ReduceVariant[] = [
  { name: "runs", wins: (d) => d.software, strided: 0, threads: 2048, atLeast: 64 },
  { name: "base", strided: 1, threads: 65536, atLeast: 16 },
];
const pick = defineVariants(
  "reduce",
  variants,
  ({ outer, length, inner }: Line) => `${outer}x${length}x${inner}`,
);
const LONGEST = 4096; // cells a thread folds; more would let rounding errors grow

const cellsOf = (length: number, inner: number): { length: number; inner: number; vec4: boolean } => {
  const vec4 = (inner === 1 ? length : inner) % 4 === 0;
  if (!vec4) return { length, inner, vec4 };
  return inner === 1 ? { length: length / 4, inner, vec4 } : { length, inner: inner / 4, vec4 };
};

/** Chunks that give this device enough threads. */
export function chunksFor(device: Device, outer: number, length: number, inner: number): number {
  const { threads, atLeast } = pick(device, { outer, length, inner });
  const cells = cellsOf(length, inner);
  const wanted = Math.ceil(threads / (outer * cells.inner));
  const chunks = Math.max(
    Math.min(wanted, Math.ceil(cells.length / atLeast)),
    Math.ceil(cells.length / LONGEST),
  );
  return Math.ceil(cells.length / Math.ceil(cells.length / chunks));
}

/** One round: x f32[outer, length, inner] to out f32[outer, chunks, inner]. */
export function reduceRound(device: Device, x: HasBuffer, out: HasBuffer, fold: Fold): void {
  const { strided } = pick(device, fold);
  const { length, inner, vec4 } = cellsOf(fold.length, fold.inner);
  const { outer, chunks, scale } = fold;
  const params = { outer, length, inner, chunk: Math.ceil(length / chunks), chunks, scale };
  const values = {
    OP: Number(fold.op === "max"),
    SQUARE: Number(fold.square),
    ROOT: Number(fold.root),
    STRIDED: strided,
    V: vec4 ? 4 : 1,
    T: vec4 ? "vec4f" : "f32",
  };
  if (fold.inner === 1) rows(device, { x, out }, params, values);
  else columns(device, { x, out_cells: out }, params, values);
}

export const reduceSpread = defineKernel(wgsl.reduceSpread, "spread", {
  grid: ({ n }) => grid1d(n, 64),
  values: each("KIND", 0, 1, 2, 3, 4, 5, 6),
});

const lines = ({ outer, inner }: { outer: number; inner: number }): [number, number] =>
  grid1d(outer * inner, 64);
export const cumprodForward = defineKernel(wgsl.cumprod, "forward", { grid: lines });
export const cumprodBackward = defineKernel(wgsl.cumprod, "backward", { grid: lines });
