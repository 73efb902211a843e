import { describe } from "./models.mjs";

/** FLOPs of a pass of a case, a multiply-add counted as two, a backward pass as two forward passes. Null where bytes rule. */
export function flopsOf(c) {
  switch (c.kind) {
    case "matmul":
      return 2 * c.m * c.k * c.n;
    case "conv":
      return 2 * c.n * c.co * c.h * c.w * c.ci * c.ks * c.ks;
    case "attn":
      return 4 * c.b * c.heads * c.t * c.t * c.d * (c.mode === "fwd" ? 1 : 3);
    case "model":
      return describe(c.model, c.cfg).flops * (c.mode === "fwd" ? 1 : 3);
    default:
      return null;
  }
}
