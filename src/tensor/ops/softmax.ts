import { softmaxBackward, softmaxForward, type Lines } from "../../kernels/softmax.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, type Op } from "../op.ts";
import { normalAxes, showShape, sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

function linesOf(op: string, shape: Shape, axis: number): Lines {
  const [at] = normalAxes(op, shape.length, [axis]) as [number];
  const [length, stride] = [shape[at] as number, sizeOf(shape.slice(at + 1))];
  return { lines: sizeOf(shape) / length, length, stride };
}

function define(name: string, log: boolean): Op<[Tensor], [number?]> {
  return defineOp<[Tensor], [number?]>(name, {
    inputs: 1,
    check(x, axis = -1) {
      expectDtype(name, x, "f32");
      if (x.size === 0)
        throw new ShapeError(`${name}: x has shape ${showShape(x.shape)}; expected no empty axis`);
      linesOf(name, x.shape, axis);
    },
    forward(x, axis = -1) {
      const out = x.engine.empty(x.shape, "f32", name);
      softmaxForward(x.device, { source: x, out }, linesOf(name, x.shape, axis), log);
      return { out };
    },
    save: ({ out }) => [out],
    backward(dy, [result], _needs, shape, axis = -1) {
      const out = dy.engine.empty(shape, "f32", `${name} gradient`);
      softmaxBackward(dy.device, { result: result as Tensor, dy, out }, linesOf(name, shape, axis), log);
      return [out];
    },
  });
}

/** y = exp(x)/Σ exp(x) along `axis` (default: the last), the maximum subtracted first. x, y: f32[...]. Saves y. */
export const softmax = define("softmax", false);

/** y = x − log Σ exp(x) along `axis` (default: the last), the maximum subtracted first. x, y: f32[...]. Saves y. */
export const logSoftmax = define("logSoftmax", true);
