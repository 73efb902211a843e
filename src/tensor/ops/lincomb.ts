import { lincombForward } from "../../kernels/lincomb.ts";
import { GradientError } from "../errors.ts";
import { defineOp, expectDtype, expectShape } from "../op.ts";
import { sizeOf } from "../shape.ts";
import { Tensor } from "../tensor.ts";
import { mul } from "./binary.ts";
import { reshape } from "./reshape.ts";
import { affine } from "./unary.ts";

/** A number, or f32[n] with one number for each image of a batch of n; constant for gradients. */
export type Coefficient = number | Tensor;

const op = defineOp<[Tensor, Tensor], [Coefficient, Coefficient]>("lincomb", {
  inputs: 2,
  check(x, y, a, b) {
    expectDtype("lincomb", x, "f32");
    expectDtype("lincomb", y, "f32", "y");
    expectShape("lincomb", y, x.shape, "y");
    [a, b].forEach((c, k) => {
      if (!(c instanceof Tensor)) return;
      expectDtype("lincomb", c, "f32", "ab"[k]);
      expectShape("lincomb", c, [x.dim(0)], "ab"[k]);
      if (c.requiresGrad) throw new GradientError("lincomb: coefficients have no gradient; use mul and add");
    });
  },
  forward(x, y, a, b) {
    const out = x.engine.empty(x.shape, "f32", "lincomb");
    lincombForward(x.device, { x, y, out }, [a, b], x.size, sizeOf(x.shape.slice(1)));
    return { out };
  },
  save: (_, _x, _y, a, b) => [a instanceof Tensor ? a : null, b instanceof Tensor ? b : null],
  backward(dy, saved: readonly (Tensor | null)[], needs, shape, _shape, ...numbers) {
    return numbers.map((c, k) => {
      if (!needs[k]) return null;
      const list = saved[k];
      if (list) return mul(dy, reshape(list, [-1, ...shape.slice(1).map(() => 1)]));
      return c === 1 ? dy : affine(dy, c as number, 0);
    });
  },
});

/** a x + b y for x, y: f32[n, ...] of one shape; a and b: see Coefficient. Gradients by x and y. */
export function lincomb(a: Coefficient, x: Tensor, b: Coefficient, y: Tensor): Tensor {
  return op(x, y, a, b);
}
