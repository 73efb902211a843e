import { sumTo as kernel, sumToChunks } from "../../kernels/sum-to.ts";
import { expectDtype } from "../op.ts";
import { ShapeError } from "../errors.ts";
import { sameShape, showShape, type Shape } from "../shape.ts";
import { broadcastStrides, collapse } from "../strides.ts";
import type { Tensor } from "../tensor.ts";

/**
 * The transpose of broadcasting: factor times the sum of x over the axes along which `shape` was repeated; the same bits in
 * every run. No gradient of its own: backward rules use it. x itself where nothing is to do.
 */
export function sumTo(x: Tensor, shape: Shape, factor = 1): Tensor {
  expectDtype("sumTo", x, "f32");
  const strides = broadcastStrides(shape, x.shape);
  if (x.shape.some((n, d) => n !== 1 && strides[d] !== 0 && n !== shape[d - x.shape.length + shape.length]))
    throw new ShapeError(`sumTo: ${showShape(x.shape)} is no broadcast of ${showShape(shape)}`);
  if (sameShape(x.shape, shape) && factor === 1) return x;
  const { sizes, strides: all } = collapse("sumTo", x.shape, [strides]);
  // One pass an axis (two where it is long and few numbers remain), innermost first; the last one applies the factor.
  const repeated = sizes.map((_, d) => d).filter((d) => all[0]?.[d] === 0);
  const left = [...sizes];
  let from = x;
  const pass = (r: number, outer: number, inner: number, last: boolean): void => {
    const chunks = sumToChunks({ outer, r, inner });
    const out = x.engine.empty([outer * chunks * inner], "f32", "sumTo");
    kernel(x.device, { x: from, out }, { outer, r, inner }, chunks, last && chunks === 1 ? factor : 1);
    from = out;
    if (chunks > 1) pass(chunks, outer, inner, last);
  };
  for (const d of repeated.reverse()) {
    const product = (list: readonly number[]): number => list.reduce((a, b) => a * b, 1);
    pass(left[d] ?? 1, product(left.slice(0, d)), product(left.slice(d + 1)), d === repeated.at(-1));
    left[d] = 1;
  }
  if (repeated.length === 0) pass(1, 1, x.size, true);
  return from.alias(shape);
}
