import { gather } from "../../kernels/movement.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, type Op } from "../op.ts";
import { normalAxes, showShape, stridesOf } from "../shape.ts";
import { collapse } from "../strides.ts";
import type { Tensor } from "../tensor.ts";
import { reshape } from "./reshape.ts";

/** The axes of x in another order: axis d of the result is axis order[d] of x. Any dtype; gradients for f32. */
export const permute: Op<[Tensor], [order: readonly number[]]> = defineOp("permute", {
  inputs: 1,
  half: true,
  check(x, order) {
    if (order.length !== x.shape.length || normalAxes("permute", order.length, order).some((a, d) => a !== d))
      throw new ShapeError(`permute: order ${showShape(order)} for ${showShape(x.shape)}`);
  },
  forward(x, order) {
    const shape = order.map((d) => x.dim(d));
    const out = x.engine.empty(shape, x.dtype, "permute");
    const own = stridesOf(x.shape);
    const walk = collapse("permute", shape, [order.map((d) => own.at(d) ?? 0)]);
    gather(x.device, { x, out }, { sizes: walk.sizes, strides: walk.strides[0] ?? [], start: 0 });
    return { out };
  },
  backward(dy, _saved, _needs, shape, order) {
    const positive = order.map((d) => (d < 0 ? d + order.length : d));
    return [
      permute(
        dy,
        shape.map((_, d) => positive.indexOf(d)),
      ),
    ];
  },
});

/** Channels to pixels: f32[n, c*r*r, h, w] to [n, c, h*r, w*r]; channel (c*r + i)*r + j goes to offset (i, j). */
export function pixelShuffle(x: Tensor, r: number): Tensor {
  const [n, c, h, w] = [x.dim(0), x.dim(1) / (r * r), x.dim(2), x.dim(3)];
  if (x.shape.length !== 4 || !Number.isInteger(c))
    throw new ShapeError(`pixelShuffle: ${showShape(x.shape)} by ${r}; expected [n, c*${r * r}, h, w]`);
  return reshape(permute(reshape(x, [n, c, r, r, h, w]), [0, 1, 4, 2, 5, 3]), [n, c, h * r, w * r]);
}

/** Pixels to channels, the inverse of pixelShuffle: f32[n, c, h*r, w*r] to [n, c*r*r, h, w]. */
export function pixelUnshuffle(x: Tensor, r: number): Tensor {
  const [n, c, h, w] = [x.dim(0), x.dim(1), x.dim(2) / r, x.dim(3) / r];
  if (x.shape.length !== 4 || !Number.isInteger(h) || !Number.isInteger(w))
    throw new ShapeError(`pixelUnshuffle: ${showShape(x.shape)} by ${r}; expected [n, c, h*${r}, w*${r}]`);
  return reshape(permute(reshape(x, [n, c, h, r, w, r]), [0, 1, 3, 5, 2, 4]), [n, c * r * r, h, w]);
}
