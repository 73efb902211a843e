import { ShapeError } from "../errors.ts";
import { defineOp } from "../op.ts";
import { showShape, sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

const op = defineOp<[Tensor], [Shape]>("reshape", {
  inputs: 1,
  half: true,
  forward: (x, shape) => ({ out: x.alias(shape) }),
  backward: (dy, _saved, _needs, from) => [dy.alias(from)],
});

/** The same elements in another shape; no data moves. One side may be -1: it takes what is left. */
export function reshape(x: Tensor, shape: Shape): Tensor {
  const rest = sizeOf(shape.filter((n) => n !== -1));
  const full = shape.map((n) => (n === -1 ? x.size / rest : n));
  if (
    shape.filter((n) => n === -1).length > 1 ||
    full.some((n) => !Number.isInteger(n)) ||
    sizeOf(full) !== x.size
  )
    throw new ShapeError(
      `reshape: ${showShape(x.shape)} to ${showShape(shape)}; expected ${x.size} elements`,
    );
  return op(x, full);
}
