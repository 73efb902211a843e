import { castKernel } from "../../kernels/cast.ts";
import { DtypeError } from "../errors.ts";
import { defineOp } from "../op.ts";
import type { Tensor } from "../tensor.ts";

/**
 * The numbers of x stored in another type: f16 holds 11 bits up to 65,504 in half of the memory (larger ones become infinite).
 * x: f32 or f16 of any shape. For frozen networks: no gradient.
 */
export const cast = defineOp<[x: Tensor], [dtype: "f32" | "f16"]>("cast", {
  inputs: 1,
  half: true,
  check(x) {
    if (x.dtype !== "f32" && x.dtype !== "f16")
      throw new DtypeError(`cast: x is ${x.dtype}; expected f32 or f16`);
  },
  forward(x, dtype) {
    if (x.dtype === dtype) return { out: x.alias() };
    const out = x.engine.empty(x.shape, dtype, "cast");
    castKernel(x.device, { x, out }, x.size);
    return { out };
  },
});
