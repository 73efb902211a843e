import { dropout as launch } from "../../kernels/dropout.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";
import { drawOf, type RandomOptions } from "./random.ts";

export interface DropoutOptions extends RandomOptions {
  /** Share of the values set to zero, 0 <= rate < 1. */
  readonly rate: number;
}

/**
 * Dropout (Srivastava et al. 2014): y = x / (1 − rate) where u >= rate, else 0, with u the numbers of randomUniform for the same
 * shape and options. x: f32[N, ...]. Saves nothing: the gradient draws the same numbers again.
 */
export const dropout = defineOp<[Tensor], [DropoutOptions]>("dropout", {
  inputs: 1,
  check(x, { rate }) {
    expectDtype("dropout", x, "f32");
    if (!(rate >= 0 && rate < 1))
      throw new ShapeError(`dropout: rate is ${rate}; expected a number of at least 0 and below 1`);
  },
  forward(x, options) {
    const out = x.engine.empty(x.shape, "f32", "dropout");
    if (x.size > 0) launch(x.device, { x, out }, drawOf("dropout", x.shape, options), options.rate);
    return { out };
  },
  backward(dy, _saved, _needs, shape, options) {
    const out = dy.engine.empty(shape, "f32", "dropout gradient");
    if (out.size > 0) launch(dy.device, { x: dy, out }, drawOf("dropout", shape, options), options.rate);
    return [out];
  },
});
