import { matmulKernel } from "../../kernels/matmul.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank, expectShape } from "../op.ts";
import { showShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { reshape } from "./reshape.ts";
import { sum } from "./reduce.ts";

function check(x: Tensor, w: Tensor, b: Tensor | null): void {
  expectDtype("linear", x, "f32");
  expectDtype("linear", w, "f32", "w");
  expectRank("linear", w, 2, "w");
  if (x.shape.length === 0 || x.dim(-1) !== w.dim(1))
    throw new ShapeError(
      `linear: x ${showShape(x.shape)} does not fit w ${showShape(w.shape)}; expected x [..., ${w.dim(1)}]`,
    );
  if (x.size === 0 || w.size === 0)
    throw new ShapeError(`linear: an axis is empty; got x ${showShape(x.shape)}, w ${showShape(w.shape)}`);
  if (b) {
    expectDtype("linear", b, "f32", "b");
    expectShape("linear", b, [w.dim(0)], "b");
  }
}

/**
 * y = x·wᵀ + b over the last axis. x: f32[..., in], w: f32[out, in], b: f32[out] or null, y: f32[..., out]. The bias is
 * added in the product's kernel. Saves x and w.
 */
export const linear = defineOp<[Tensor, Tensor, Tensor | null]>("linear", {
  inputs: 3,
  check,
  forward(x, w, b) {
    const [n, k] = w.shape as [number, number];
    const out = x.engine.empty([...x.shape.slice(0, -1), n], "f32", "linear");
    const places = { a: { line: k }, b: { line: k }, c: { line: n } };
    matmulKernel(
      x.device,
      { a: x, b: w, c: out, bias: b },
      { m: x.size / k, n, k, transposeB: true, ...places },
    );
    return { out };
  },
  save: (_, x, w) => [x, w],
  backward(dy, [x, w], needs, shapeX, shapeW, shapeB) {
    const { engine, device } = dy;
    const [out, inner] = shapeW as [number, number];
    const rows = dy.size / out;
    let [dx, dw, db]: (Tensor | null)[] = [null, null, null];
    if (needs[0]) {
      dx = engine.empty(shapeX, "f32", "linear gradient of x");
      const places = { a: { line: out }, b: { line: inner }, c: { line: inner } };
      matmulKernel(device, { a: dy, b: w as Tensor, c: dx }, { m: rows, n: inner, k: out, ...places });
    }
    if (needs[1]) {
      dw = engine.empty(shapeW, "f32", "linear gradient of w");
      const places = { a: { line: out }, b: { line: inner }, c: { line: inner } };
      matmulKernel(
        device,
        { a: dy, b: x as Tensor, c: dw },
        { m: out, n: inner, k: rows, transposeA: true, ...places },
      );
    }
    if (needs[2] && shapeB) {
      db = sum(reshape(dy, [rows, out]), { axes: [0] });
    }
    return [dx ?? null, dw ?? null, db ?? null];
  },
});
