import { gather } from "../../kernels/movement.ts";
import { ShapeError } from "../errors.ts";
import { defineOp } from "../op.ts";
import { broadcastShape, sameShape, showShape, type Shape } from "../shape.ts";
import { broadcastStrides, collapse } from "../strides.ts";
import type { Tensor } from "../tensor.ts";
import { reshape } from "./reshape.ts";
import { sumTo } from "./sum-to.ts";

/** x repeated along its axes of size 1 and along new leading axes, to `shape`. Any dtype; gradients for f32. */
export const expand = defineOp<[Tensor], [shape: Shape]>("expand", {
  inputs: 1,
  check(x, shape) {
    if (!sameShape(broadcastShape("expand", x.shape, shape), shape))
      throw new ShapeError(`expand: ${showShape(x.shape)} does not repeat to ${showShape(shape)}`);
  },
  forward(x, shape) {
    const out = x.engine.empty(shape, x.dtype, "expand");
    const walk = collapse("expand", shape, [broadcastStrides(x.shape, shape)]);
    gather(x.device, { x, out }, { sizes: walk.sizes, strides: walk.strides[0] ?? [], start: 0 });
    return { out };
  },
  backward: (dy, _saved, _needs, shape) => [sumTo(dy, shape)],
});

/** x repeated whole, counts[d] times along axis d. */
export function repeat(x: Tensor, counts: readonly number[]): Tensor {
  if (counts.length !== x.shape.length)
    throw new ShapeError(
      `repeat: counts ${showShape(counts)} for ${showShape(x.shape)}; expected one an axis`,
    );
  const each = (f: (n: number, d: number) => number[]): number[] => x.shape.flatMap(f);
  const wide = expand(
    reshape(
      x,
      each((n) => [1, n]),
    ),
    each((n, d) => [counts[d] ?? 1, n]),
  );
  return reshape(
    wide,
    each((n, d) => [n * (counts[d] ?? 1)]),
  );
}
