import { gather, pad as padKernel } from "../../kernels/movement.ts";
import { ShapeError } from "../errors.ts";
import { defineOp } from "../op.ts";
import { showShape, stridesOf } from "../shape.ts";
import { collapse } from "../strides.ts";
import { bytesOf, type Tensor } from "../tensor.ts";

/** Most pieces that are copied buffer to buffer; more go through one kernel. */
export const MAX_COPIES = 64;

interface Range {
  readonly starts: readonly number[];
  readonly steps: readonly number[];
  readonly counts: readonly number[];
}

const op = defineOp<[Tensor], [Range]>("slice", {
  inputs: 1,
  half: true,
  forward(x, { starts, steps, counts }) {
    const own = stridesOf(x.shape);
    const out = x.engine.empty(counts, x.dtype, "slice");
    const start = starts.reduce((a, s, d) => a + s * (own[d] ?? 0), 0);
    const strides = own.map((s, d) => s * (steps[d] ?? 1));
    const walk = collapse("slice", counts, [strides]);
    const [sizes, jumps] = [walk.sizes, walk.strides[0] ?? []];
    const isRun = jumps.at(-1) === 1 || sizes.length === 0;
    const pieces = out.size / (sizes.at(-1) ?? 1);
    const unit = bytesOf(x.dtype);
    const bytes = unit * (sizes.at(-1) ?? 1);
    const jump = unit * (jumps.at(-2) ?? 0);
    const whole = [bytes, jump, unit * start].every((v) => v % 4 === 0);
    if (isRun && whole && sizes.length <= 2 && pieces <= MAX_COPIES) {
      for (let k = 0; k < pieces; k++) {
        const at = x.offset + unit * start + k * jump;
        x.device.queue.copy(x.buffer, at, out.buffer, out.offset + k * bytes, bytes);
      }
    } else gather(x.device, { x, out }, { sizes, strides: jumps, start });
    return { out };
  },
  backward(dy, _saved, _needs, shape, { starts, steps, counts }) {
    const out = dy.engine.empty(shape, "f32", "slice gradient");
    const axes = shape.map((size, d) => ({
      ...{ size, before: starts[d] ?? 0, every: steps[d] ?? 1, limit: counts[d] ?? size },
    }));
    padKernel(dy.device, { x: dy, out }, axes, 0);
    return [out];
  },
});

/**
 * x[starts[0]:ends[0]:steps[0], ...] along the first axes; the others stay whole. Negative starts and ends count from the
 * end of the axis, a null end is that end; steps are positive.
 */
export function slice(
  x: Tensor,
  starts: readonly number[],
  ends: readonly (number | null)[],
  steps: readonly number[] = [],
): Tensor {
  const bad = (fact: string): never => {
    throw new ShapeError(
      `slice: ${fact}; got starts ${showShape(starts)}, ends [${ends.map(String).join(",")}], steps ${showShape(steps)} for ${showShape(x.shape)}`,
    );
  };
  if (starts.length !== ends.length || starts.length > x.shape.length || steps.length > x.shape.length)
    bad("starts and ends name the same first axes");
  if (steps.some((s) => !Number.isInteger(s) || s < 1)) bad("steps are positive integers");
  const from = x.shape.map((n, d) => Math.min(n, Math.max(0, at(starts[d] ?? 0, n))));
  const to = x.shape.map((n, d) => Math.min(n, Math.max(0, at(ends[d] ?? n, n))));
  const by = x.shape.map((_, d) => steps[d] ?? 1);
  const counts = x.shape.map((_, d) => Math.ceil(((to[d] ?? 0) - (from[d] ?? 0)) / (by[d] ?? 1)));
  if (counts.some((c) => !(c >= 1))) bad("an axis keeps no element");
  return op(x, { starts: from, steps: by, counts });
}

const at = (i: number, n: number): number => (i < 0 ? i + n : i);

/** Pieces of x along an axis, of the given sizes, which sum to the axis. */
export function split(x: Tensor, sizes: readonly number[], axis: number): Tensor[] {
  const d = axis < 0 ? axis + x.shape.length : axis;
  if (sizes.reduce((a, b) => a + b, 0) !== x.dim(d))
    throw new ShapeError(`split: sizes ${showShape(sizes)} along axis ${axis} of ${showShape(x.shape)}`);
  let first = 0;
  return sizes.map((size) => {
    const starts = x.shape.slice(0, d + 1).map((_, k) => (k === d ? first : 0));
    const ends = x.shape.slice(0, d + 1).map((n, k) => (k === d ? first + size : n));
    first += size;
    return slice(x, starts, ends);
  });
}

/** x in `count` equal pieces along an axis. */
export function chunk(x: Tensor, count: number, axis: number): Tensor[] {
  if (x.dim(axis) % count !== 0)
    throw new ShapeError(`chunk: axis ${axis} of ${showShape(x.shape)} in ${count} equal pieces`);
  return split(x, new Array<number>(count).fill(x.dim(axis) / count), axis);
}
