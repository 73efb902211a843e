import { embeddingBackward, embeddingForward, type EmbeddingProblem } from "../../kernels/embedding.ts";
import { DtypeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank } from "../op.ts";
import { normalAxes, sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

interface Place {
  readonly problem: EmbeddingProblem;
  readonly out: number[];
}

function placeOf(op: string, shape: Shape, indices: Shape, axis: number): Place {
  const [at = 0] = normalAxes(op, shape.length, [axis]);
  const [before, after] = [shape.slice(0, at), shape.slice(at + 1)];
  const problem = {
    outer: sizeOf(before),
    rows: shape[at] ?? 1,
    inner: sizeOf(after),
    count: sizeOf(indices),
  };
  return { problem, out: [...before, ...indices, ...after] };
}

function check(op: string, x: Tensor, indices: Tensor, axis: number): void {
  expectDtype(op, x, "f32");
  if (indices.dtype === "f32") throw new DtypeError(`${op}: indices are f32; expected u32 or i32`);
  normalAxes(op, x.shape.length, [axis]);
}

function forward(op: string, x: Tensor, indices: Tensor, axis: number): { out: Tensor } {
  const place = placeOf(op, x.shape, indices.shape, axis);
  const out = x.engine.empty(place.out, "f32", op);
  embeddingForward(x.device, { table: x, indices, out }, place.problem);
  return { out };
}

function backward(op: string, dy: Tensor, indices: Tensor, shape: Shape, axis: number): [Tensor, null] {
  const out = dy.engine.empty(shape, "f32", `${op} gradient`);
  embeddingBackward(dy.device, { indices, dy, out }, placeOf(op, shape, indices.shape, axis).problem);
  return [out, null];
}

/**
 * Rows of a table, y[k] = table[indices[k]]. table: f32[v, d]; indices: u32 or i32[...]; y: f32[..., d]; a number out of
 * range gives zeros (the GPU cannot throw: check on the host). Saves indices; gradients of one row are summed in order.
 */
export const embedding = defineOp<[Tensor, Tensor]>("embedding", {
  inputs: 2,
  check(table, indices) {
    expectRank("embedding", table, 2, "table");
    check("embedding", table, indices, 0);
  },
  forward: (table, indices) => forward("embedding", table, indices, 0),
  save: (_, _table, indices) => [indices],
  backward: (dy, [indices], _needs, shape) => backward("embedding", dy, indices as Tensor, shape, 0),
});

const select = defineOp<[Tensor, Tensor], [axis: number]>("indexSelect", {
  inputs: 2,
  check(x, indices, axis) {
    expectRank("indexSelect", indices, 1, "indices");
    check("indexSelect", x, indices, axis);
  },
  forward: (x, indices, axis) => forward("indexSelect", x, indices, axis),
  save: (_, _x, indices) => [indices],
  backward: (dy, [indices], _needs, shape, _indices, axis) =>
    backward("indexSelect", dy, indices as Tensor, shape, axis),
});

/** Entries along an axis by number: y[..., k, ...] = x[..., indices[k], ...]. indices: u32 or i32[n]; otherwise as embedding. */
export const indexSelect = (x: Tensor, axis: number, indices: Tensor): Tensor => select(x, indices, axis);
