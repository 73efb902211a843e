// Pure functions on shapes; no GPU.
import { ShapeError } from "./errors.ts";

export type Shape = readonly number[];

export const sizeOf = (shape: Shape): number => shape.reduce((a, b) => a * b, 1);
export const showShape = (shape: Shape): string => `[${shape.join(",")}]`;
export const sameShape = (a: Shape, b: Shape): boolean =>
  a.length === b.length && a.every((v, i) => v === b[i]);

/** Row-major strides in elements. */
export function stridesOf(shape: Shape): number[] {
  const strides = new Array<number>(shape.length).fill(1);
  for (let i = shape.length - 2; i >= 0; i--) strides[i] = (strides[i + 1] ?? 1) * (shape[i + 1] ?? 1);
  return strides;
}

/** Shape of an elementwise result (NumPy's rules); ShapeError naming `op` where none exists. */
export function broadcastShape(op: string, a: Shape, b: Shape): number[] {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const [x, y] = [a[a.length - rank + i] ?? 1, b[b.length - rank + i] ?? 1];
    if (x !== y && x !== 1 && y !== 1)
      throw new ShapeError(`${op}: shapes ${showShape(a)} and ${showShape(b)} do not broadcast`);
    return x === 1 ? y : x;
  });
}

/** Axes as non-negative numbers, sorted; null means all. */
export function normalAxes(op: string, rank: number, axes: readonly number[] | null): number[] {
  const list =
    axes === null ? Array.from({ length: rank }, (_, i) => i) : axes.map((a) => (a < 0 ? a + rank : a));
  if (list.some((a) => !Number.isInteger(a) || a < 0 || a >= rank) || new Set(list).size !== list.length)
    throw new ShapeError(`${op}: axes ${JSON.stringify(axes)} of a tensor of rank ${rank}`);
  return list.sort((a, b) => a - b);
}
