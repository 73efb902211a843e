// The operations on two tensors with NumPy's broadcasting; forward and derivatives stand side by side in binary.wgsl.
import { binaryBackward, binaryForward, type BinaryOp } from "../../kernels/binary.ts";
import { defineOp, expectFloat, type Op } from "../op.ts";
import { broadcastShape, type Shape } from "../shape.ts";
import { broadcastStrides, collapse, type Pattern } from "../strides.ts";
import type { Tensor } from "../tensor.ts";
import { sumTo } from "./sum-to.ts";
import { neg } from "./unary.ts";

function patternOf(op: string, a: Shape, b: Shape): Pattern & { shape: number[] } {
  const shape = broadcastShape(op, a, b);
  return { ...collapse(op, shape, [broadcastStrides(a, shape), broadcastStrides(b, shape)]), shape };
}

function binary(op: BinaryOp): Op<[Tensor, Tensor], []> {
  const linear = op === "add" || op === "sub";
  return defineOp<[Tensor, Tensor]>(op, {
    inputs: 2,
    half: true,
    check(a, b) {
      expectFloat(op, a, b, "a");
      expectFloat(op, b, a, "b");
    },
    forward(a, b) {
      const pattern = patternOf(op, a.shape, b.shape);
      const out = a.engine.empty(pattern.shape, a.dtype, op);
      binaryForward(a.device, op, pattern, { a, b, out });
      return { out };
    },
    // A product's gradient by one factor needs the other one only: that of a frozen factor is not kept.
    save(_, a, b) {
      if (linear) return [null, null];
      if (op === "mul") return [b.requiresGrad ? a : null, a.requiresGrad ? b : null];
      return [b.requiresGrad || op === "maximum" ? a : null, b];
    },
    backward(dy, [a = null, b = null], needs, ...shapes) {
      const pattern = patternOf(op, ...shapes);
      const gradient = (wrt: 0 | 1): Tensor | null => {
        if (!needs[wrt]) return null;
        if (linear) {
          const part = sumTo(dy, shapes[wrt]);
          return op === "sub" && wrt === 1 ? neg(part) : part;
        }
        const out = dy.engine.empty(pattern.shape, "f32", `${op} gradient`);
        binaryBackward(dy.device, op, wrt, pattern, { a, b, dy, out });
        return sumTo(out, shapes[wrt]);
      };
      return [gradient(0), gradient(1)];
    },
  });
}

/** a + b with NumPy's broadcasting. a, b: f32[...], or both f16; the gradient of a repeated operand is summed over the repeats. */
export const add = binary("add");
/** a - b, as add. */
export const sub = binary("sub");
/** a * b elementwise, as add. Saves the factor whose partner needs a gradient. */
export const mul = binary("mul");
/** a / b elementwise, as add. */
export const div = binary("div");
/** The larger of a and b, as add. Where both are equal each takes half of the gradient, as in PyTorch. */
export const maximum = binary("maximum");
