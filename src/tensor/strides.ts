// Strided index patterns brought to the fewest axes; pure functions, no GPU.
import { ShapeError } from "./errors.ts";
import { showShape, stridesOf, type Shape } from "./shape.ts";

/** Axes of an index pattern, outermost first, with the strides of one or more operands. */
export interface Pattern {
  readonly sizes: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** Most axes that the strided kernels take. */
export const MAX_AXES = 6;

/** Leaves out axes of size 1 and joins neighbours that every operand walks through without a jump. */
export function collapse(op: string, shape: Shape, strides: readonly (readonly number[])[]): Pattern {
  const sizes: number[] = [];
  const out = strides.map((): number[] => []);
  shape.forEach((n, d) => {
    if (n === 1) return;
    const last = sizes.length - 1;
    const joins = last >= 0 && strides.every((s, k) => out[k]?.[last] === (s[d] ?? 0) * n);
    if (joins) sizes[last] = (sizes[last] ?? 1) * n;
    else sizes.push(n);
    strides.forEach((s, k) => {
      const mine = out[k] as number[];
      if (joins) mine[last] = s[d] ?? 0;
      else mine.push(s[d] ?? 0);
    });
  });
  if (sizes.length > MAX_AXES)
    throw new ShapeError(
      `${op}: ${showShape(shape)} keeps ${sizes.length} separate axes; expected ${MAX_AXES} at most`,
    );
  return { sizes, strides: out };
}

/** Strides of a tensor of `shape` seen as the larger `target` (NumPy's broadcasting): 0 along repeated axes. */
export function broadcastStrides(shape: Shape, target: Shape): number[] {
  const own = stridesOf(shape);
  const missing = target.length - shape.length;
  return target.map((_, d) => (d < missing || shape[d - missing] === 1 ? 0 : (own[d - missing] ?? 0)));
}
