import { gatherBlocks, spreadBlocks, type Blocks } from "../../kernels/resample.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectFloat, expectRank } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

function check(op: string, x: Tensor, k: number): void {
  expectFloat(op, x, x);
  expectRank(op, x, 4);
  if (!Number.isInteger(k) || k < 1)
    throw new ShapeError(`${op}: factor ${k}; expected a whole number of 1 or more`);
}

const side = (shape: Shape, d: number): number => shape[d] ?? 1;
const planes = (shape: Shape): number => side(shape, 0) * side(shape, 1);

function upBlocks(shape: Shape, k: number): Blocks {
  const [h, w] = [side(shape, 2), side(shape, 3)];
  return { planes: planes(shape), h, w, bigH: h * k, bigW: w * k, k };
}

function poolBlocks(shape: Shape, k: number): Blocks {
  const [bigH, bigW] = [side(shape, 2), side(shape, 3)];
  return { planes: planes(shape), h: Math.floor(bigH / k), w: Math.floor(bigW / k), bigH, bigW, k };
}

/** Each pixel repeated `factor` times along both sides. x: f32 or f16[n, c, h, w]; result [n, c, h*factor, w*factor]. */
export const upsampleNearest = defineOp<[Tensor], [factor: number]>("upsampleNearest", {
  inputs: 1,
  half: true,
  check: (x, factor) => check("upsampleNearest", x, factor),
  forward(x, factor) {
    const b = upBlocks(x.shape, factor);
    const out = x.engine.empty([x.dim(0), x.dim(1), b.bigH, b.bigW], x.dtype, "upsampleNearest");
    spreadBlocks(x.device, { small: x, large: out }, b, 1);
    return { out };
  },
  backward(dy, _saved, _needs, shape, factor) {
    const out = dy.engine.empty(shape, "f32", "upsampleNearest gradient");
    gatherBlocks(dy.device, { small: out, large: dy }, upBlocks(shape, factor), 1);
    return [out];
  },
});

/**
 * Means of the k x k blocks. x: f32 or f16[n, c, h, w]; result [n, c, floor(h/k), floor(w/k)]: rows and columns that fill no
 * block are left out, as in PyTorch.
 */
export const avgPool2d = defineOp<[Tensor], [k: number]>("avgPool2d", {
  inputs: 1,
  half: true,
  check(x, k) {
    check("avgPool2d", x, k);
    if (x.dim(2) < k || x.dim(3) < k)
      throw new ShapeError(`avgPool2d: blocks of ${k} x ${k} in ${showShape(x.shape)}`);
  },
  forward(x, k) {
    const b = poolBlocks(x.shape, k);
    const out = x.engine.empty([x.dim(0), x.dim(1), b.h, b.w], x.dtype, "avgPool2d");
    gatherBlocks(x.device, { small: out, large: x }, b, 1 / (k * k));
    return { out };
  },
  backward(dy, _saved, _needs, shape, k) {
    const out = dy.engine.empty(shape, "f32", "avgPool2d gradient");
    spreadBlocks(dy.device, { small: dy, large: out }, poolBlocks(shape, k), 1 / (k * k));
    return [out];
  },
});
