import { ShapeError } from "../errors.ts";
import { broadcastShape, sameShape, showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { sum } from "./reduce.ts";

/** The transpose of broadcasting: x summed over the axes along which `shape` was repeated; x itself where there are none. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  if (!sameShape(broadcastShape("sumTo", x.shape, shape), x.shape))
    throw new ShapeError(`sumTo: ${showShape(x.shape)} is no broadcast of ${showShape(shape)}`);
  const missing = x.shape.length - shape.length;
  const axes = x.shape.map((_, d) => d).filter((d) => d < missing || shape[d - missing] !== x.shape[d]);
  return sum(x, { axes, keepdim: true }).alias(shape);
}
