import { siluBackward, siluForward } from "../../kernels/silu.ts";
import { defineOp, expectDtype } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/** SiLU, y = x·sigmoid(x). x: f32[...]; y has x's shape. Saves x. Elfwing et al. 2018. */
export const silu = defineOp<[Tensor]>("silu", {
  inputs: 1,
  check: (x) => expectDtype("silu", x, "f32"),
  forward(x) {
    const out = x.engine.empty(x.shape, "f32", "silu");
    siluForward(x.device, { x, out }, { n4: Math.ceil(x.size / 4) });
    return { out };
  },
  save: (_, x) => [x],
  backward(dy, [x], _needs, shape) {
    const out = dy.engine.empty(shape, "f32", "silu gradient");
    siluBackward(dy.device, { x: x as Tensor, dy, out }, { n4: Math.ceil(dy.size / 4) });
    return [out];
  },
});
