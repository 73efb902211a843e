// Elementwise functions of one tensor: f32[...] to the same shape. Value and derivative stand side by side in unary.wgsl.
import { unaryBackward, unaryForward, type UnaryOp } from "../../kernels/unary.ts";
import { GradientError } from "../errors.ts";
import { defineOp, expectDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";

type Numbers = readonly [a?: number, b?: number];

function unary<A extends Numbers>(op: UnaryOp) {
  return defineOp<[Tensor], A>(op, {
    inputs: 1,
    check(x, ...numbers) {
      expectDtype(op, x, "f32");
      if (numbers.some((v) => v === undefined || Number.isNaN(v)))
        throw new GradientError(`${op}: got ${JSON.stringify(numbers)}; expected numbers`);
    },
    forward(x, ...[a = 0, b = 0]) {
      const out = x.engine.empty(x.shape, "f32", op);
      unaryForward(x.device, { op, a, b }, { x, out }, x.size);
      return { out };
    },
    save: (_, ...args) => [args[0]],
    backward(dy, [x], _needs, shape, ...[a = 0, b = 0]) {
      const out = dy.engine.empty(shape, "f32", `${op} gradient`);
      unaryBackward(dy.device, { op, a, b }, { x: x as Tensor, dy, out }, dy.size);
      return [out];
    },
  });
}

/** max(x, 0); the gradient at 0 is 0. */
export const relu = unary<[]>("relu");
/** x where x > 0, else slope * x. */
export const leakyRelu = unary<[slope: number]>("leakyRelu");
/** 1 / (1 + exp(-x)). */
export const sigmoid = unary<[]>("sigmoid");
/** Hyperbolic tangent. */
export const tanh = unary<[]>("tanh");
/** e to the power of x. */
export const exp = unary<[]>("exp");
/** Natural logarithm; x > 0. */
export const log = unary<[]>("log");
/** Square root; x >= 0, its gradient at 0 is infinite. */
export const sqrt = unary<[]>("sqrt");
/** 1 / sqrt(x); x > 0. */
export const rsqrt = unary<[]>("rsqrt");
/** x². */
export const square = unary<[]>("square");
/** |x|; the gradient at 0 is 0. */
export const abs = unary<[]>("abs");
/** Sine, x in radians. */
export const sin = unary<[]>("sin");
/** Cosine, x in radians. */
export const cos = unary<[]>("cos");
/** x brought into [lo, hi]; the gradient is 1 inside and on the bounds, else 0, as in PyTorch. */
export const clamp = unary<[lo: number, hi: number]>("clamp");
/** a * x + b with numbers a and b. */
export const affine = unary<[a: number, b: number]>("affine");
/** x * sigmoid(x). Elfwing et al. 2018. */
export const silu = unary<[]>("silu");
/** The largest whole number not above x; the gradient is 0. */
export const floor = unary<[]>("floor");
/** The nearest whole number, of two the even one, as in PyTorch; the gradient is 0. */
export const round = unary<[]>("round");
/** 1 / x. */
export const reciprocal = unary<[]>("reciprocal");

/** -x. */
export const neg = (x: Tensor): Tensor => affine(x, -1, 0);
