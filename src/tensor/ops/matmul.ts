import { matmulKernel, type Place } from "../../kernels/matmul.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectFloat } from "../op.ts";
import { sameShape, showShape, sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface MatmulOptions {
  /** Multiplies with the last two axes of a swapped. */
  readonly transposeA?: boolean;
  /** Multiplies with the last two axes of b swapped. */
  readonly transposeB?: boolean;
}

/** A stack of matrices: batch axes, then lines and columns as stored. */
interface Stack {
  readonly batch: Shape;
  readonly lines: number;
  readonly columns: number;
}

function stackOf(shape: Shape): Stack {
  return {
    batch: shape.slice(0, -2),
    lines: shape[shape.length - 2] as number,
    columns: shape[shape.length - 1] as number,
  };
}

function check(a: Tensor, b: Tensor, { transposeA = false, transposeB = false }: MatmulOptions = {}): void {
  expectFloat("matmul", a, b, "a");
  expectFloat("matmul", b, a, "b");
  const both = `a ${showShape(a.shape)}${transposeA ? " transposed" : ""}, b ${showShape(b.shape)}${transposeB ? " transposed" : ""}`;
  if (a.shape.length < 2 || b.shape.length < 2)
    throw new ShapeError(`matmul: rank too low; got ${both}; expected rank 2 or more`);
  if (a.size === 0 || b.size === 0) throw new ShapeError(`matmul: an axis is empty; got ${both}`);
  const [x, y] = [stackOf(a.shape), stackOf(b.shape)];
  if (x.batch.length > 0 && y.batch.length > 0 && !sameShape(x.batch, y.batch))
    throw new ShapeError(
      `matmul: batch axes differ; got ${both}; expected equal ones, or one side of rank 2`,
    );
  const [ka, kb] = [transposeA ? x.lines : x.columns, transposeB ? y.columns : y.lines];
  if (ka !== kb) throw new ShapeError(`matmul: inner sizes ${ka} and ${kb} differ; got ${both}`);
}

/**
 * op(a)·op(b), of shape `shape`; a result without batch axes sums over the batch of the operands. Batch axes of a that
 * meet a shared b fold into its rows, where the rows are contiguous.
 */
function product(
  a: Tensor,
  b: Tensor,
  transposeA: boolean,
  transposeB: boolean,
  shape: Shape,
  origin: string,
): Tensor {
  const out = a.engine.empty(shape, a.dtype, origin);
  const [x, y, z] = [stackOf(a.shape), stackOf(b.shape), stackOf(shape)];
  const count = sizeOf(z.batch);
  const summed = z.batch.length === 0 ? Math.max(sizeOf(x.batch), sizeOf(y.batch)) : 1;
  let [m, k, sum, outer] = [z.lines, transposeA ? x.lines : x.columns, summed, count];
  if (!transposeA && y.batch.length === 0 && z.batch.length > 0) [m, outer] = [m * count, 1];
  if (summed > 1 && x.batch.length > 0 && y.batch.length > 0 && transposeA && !transposeB)
    [k, sum] = [k * summed, 1];
  const place = (s: Stack, folded: boolean): Place => {
    const stride = folded || s.batch.length === 0 ? 0 : s.lines * s.columns;
    return { line: s.columns, outer: stride, sum: stride };
  };
  matmulKernel(
    a.device,
    { a, b, c: out },
    {
      m,
      n: z.columns,
      k,
      transposeA,
      transposeB,
      outer,
      sum,
      a: place(x, outer === 1 && sum === 1),
      b: place(y, outer === 1 && sum === 1),
      c: place(z, outer === 1),
    },
  );
  return out;
}

/**
 * y = op(a)·op(b) over the last two axes, op transposing where the options say so. a: f32[..., m, k], b: f32[..., k, n]
 * (as stored: swapped where transposed), y: f32[..., m, n]. Batch axes are equal, or one side has rank 2 and serves the
 * whole batch. Saves a and b.
 */
export const matmul = defineOp<[Tensor, Tensor], [MatmulOptions?]>("matmul", {
  inputs: 2,
  half: true,
  check,
  forward(a, b, { transposeA = false, transposeB = false } = {}) {
    const [x, y] = [stackOf(a.shape), stackOf(b.shape)];
    const batch = x.batch.length > 0 ? x.batch : y.batch;
    const shape = [...batch, transposeA ? x.columns : x.lines, transposeB ? y.lines : y.columns];
    return { out: product(a, b, transposeA, transposeB, shape, "matmul") };
  },
  save: (_, a, b) => [a, b],
  backward(dy, [a, b], needs, shapeA, shapeB, { transposeA = false, transposeB = false } = {}) {
    const [x, y] = [a as Tensor, b as Tensor];
    const name = "matmul gradient";
    const da = (): Tensor =>
      transposeA
        ? product(y, dy, transposeB, true, shapeA, name)
        : product(dy, y, false, !transposeB, shapeA, name);
    const db = (): Tensor =>
      transposeB
        ? product(dy, x, true, transposeA, shapeB, name)
        : product(x, dy, !transposeA, false, shapeB, name);
    return [needs[0] ? da() : null, needs[1] ? db() : null];
  },
});
