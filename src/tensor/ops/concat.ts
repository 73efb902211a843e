import { scatter } from "../../kernels/movement.ts";
import { DtypeError, ShapeError } from "../errors.ts";
import { defineOp } from "../op.ts";
import { normalAxes, showShape, sizeOf } from "../shape.ts";
import { bytesOf, type Tensor } from "../tensor.ts";
import { MAX_COPIES, slice } from "./slice.ts";

const op = defineOp<Tensor[], [number]>("concat", {
  inputs: -1,
  half: true,
  check(...args) {
    const [tensors, axis] = [args.slice(0, -1) as Tensor[], args.at(-1) as number];
    const first = tensors[0] as Tensor;
    for (const t of tensors) {
      if (t.dtype !== first.dtype) throw new DtypeError(`concat: ${first.dtype} and ${t.dtype}`);
      const fits = t.shape.length === first.shape.length;
      if (!fits || t.shape.some((n, d) => d !== axis && n !== first.shape[d]))
        throw new ShapeError(
          `concat: ${showShape(first.shape)} and ${showShape(t.shape)} along axis ${axis}; the other axes must agree`,
        );
    }
  },
  forward(...args) {
    const [tensors, axis] = [args.slice(0, -1) as Tensor[], args.at(-1) as number];
    const first = tensors[0] as Tensor;
    const total = tensors.reduce((a, t) => a + t.dim(axis), 0);
    const shape = first.shape.map((n, d) => (d === axis ? total : n));
    const out = first.engine.empty(shape, first.dtype, "concat");
    const outer = sizeOf(shape.slice(0, axis));
    const row = out.size / outer;
    let start = 0;
    for (const x of tensors) {
      const piece = x.size / outer;
      const bytes = bytesOf(x.dtype);
      if (outer <= MAX_COPIES && [piece, row, start].every((v) => (v * bytes) % 4 === 0))
        for (let k = 0; k < outer; k++)
          x.device.queue.copy(
            ...([x.buffer, x.offset + bytes * k * piece] as const),
            ...([out.buffer, out.offset + bytes * (k * row + start), bytes * piece] as const),
          );
      else scatter(x.device, { x, out }, { sizes: [outer, piece], strides: [row, 1], start });
      start += piece;
    }
    return { out };
  },
  backward(dy, _saved, needs, ...args) {
    const [shapes, axis] = [args.slice(0, -1) as (readonly number[])[], args.at(-1) as number];
    let first = 0;
    return shapes.map((shape, k) => {
      const [from, to] = [first, first + (shape[axis] ?? 0)];
      first = to;
      if (!needs[k]) return null;
      const at = (v: number, d: number): number => (d === axis ? v : 0);
      const axes = shape.slice(0, axis + 1);
      return slice(
        dy,
        axes.map((_, d) => at(from, d)),
        axes.map((n, d) => (d === axis ? to : n)),
      );
    });
  },
});

/** The tensors one after another along an axis; the other axes agree. Any dtype; gradients for f32. */
export function concat(tensors: readonly Tensor[], axis: number): Tensor {
  const first = tensors[0];
  if (!first) throw new ShapeError("concat: got no tensors");
  const [d = 0] = normalAxes("concat", first.shape.length, [axis]);
  return op(...tensors, d);
}
