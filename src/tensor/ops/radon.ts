import { radonAdjoint, radonForward, radonSmear } from "../../kernels/radon.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank, expectShape, type Op } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

/** The square that a picture of height × width lies in the middle of: `length` rays a direction. */
export interface RadonPlan {
  readonly height: number;
  readonly width: number;
  /** At least both sides. */
  readonly length: number;
}

const sizes = (shape: Shape, angles: number, { height: h, width: w, length: l }: RadonPlan) => ({
  ...{ planes: (shape[0] ?? 1) * (shape[1] ?? 1), h, w, l, angles },
  left: Math.floor(l / 2) - Math.floor(w / 2),
  top: Math.floor(l / 2) - Math.floor(h / 2),
});

function check(op: string, x: Tensor, directions: Tensor, plan: RadonPlan, shape: Shape): void {
  expectDtype(op, x, "f32");
  expectDtype(op, directions, "f32", "directions");
  expectRank(op, x, 4);
  const { height, width, length } = plan;
  if (directions.shape.length !== 2 || directions.shape[1] !== 2)
    throw new ShapeError(`${op}: directions ${showShape(directions.shape)}; expected [angles,2]`);
  if (!Number.isInteger(length) || length < Math.max(height, width))
    throw new ShapeError(`${op}: length ${length} for ${height}x${width}; expected at least the larger side`);
  expectShape(op, x, [x.dim(0), x.dim(1), ...shape]);
}

/** From rays to a picture, by one of two kernels. */
function backward(
  name: string,
  kernel: typeof radonAdjoint,
  y: Tensor,
  directions: Tensor,
  plan: RadonPlan,
): Tensor {
  const out = y.engine.empty([y.dim(0), y.dim(1), plan.height, plan.width], "f32", name);
  kernel(y.device, { rays: y, directions, out }, sizes(y.shape, directions.dim(0), plan));
  return out;
}

/**
 * Parallel-beam Radon transform: for each direction the lattice of length × length points is turned and the picture sampled
 * there (bilinear, zeros outside); samples of one column are summed. x: f32[n, c, h, w]; directions: f32[angles, 2], cosine
 * and sine; result f32[n, c, length, angles]. Gradient by x: radonAdjoint.
 */
export const radon: Op<[Tensor, Tensor], [plan: RadonPlan]> = defineOp("radon", {
  inputs: 2,
  check: (x, directions, plan) => check("radon", x, directions, plan, [plan.height, plan.width]),
  forward(x, directions, plan) {
    const angles = directions.dim(0);
    const out = x.engine.empty([x.dim(0), x.dim(1), plan.length, angles], "f32", "radon");
    radonForward(x.device, { image: x, directions, out }, sizes(x.shape, angles, plan));
    return { out };
  },
  save: (_, _x, directions) => [directions],
  backward: (dy, [directions], needs, _shape, _directions, plan) => [
    needs[0] ? backprojection(dy, directions as Tensor, plan) : null,
    null,
  ],
});

/** The exact transpose of radon: f32[n, c, length, angles] → f32[n, c, h, w]. Gradient by y: radon. */
export const backprojection: Op<[Tensor, Tensor], [plan: RadonPlan]> = defineOp("backprojection", {
  inputs: 2,
  check: (y, directions, plan) =>
    check("backprojection", y, directions, plan, [plan.length, directions.dim(0)]),
  forward: (y, directions, plan) => ({ out: backward("backprojection", radonAdjoint, y, directions, plan) }),
  save: (_, _y, directions) => [directions],
  backward: (dy, [directions], needs, _shape, _directions, plan) => [
    needs[0] ? radon(dy, directions as Tensor, plan) : null,
    null,
  ],
});

/**
 * The back-projection of filtered back-projection: each pixel takes, of every direction, the value at its own place on the
 * detector, linear between two rays, zeros outside, and sums them. Shapes as backprojection. Has no gradient.
 */
export const pixelBackprojection = defineOp<[Tensor, Tensor], [plan: RadonPlan]>("pixelBackprojection", {
  inputs: 2,
  check: (y, directions, plan) =>
    check("pixelBackprojection", y, directions, plan, [plan.length, directions.dim(0)]),
  forward: (y, directions, plan) => ({
    out: backward("pixelBackprojection", radonSmear, y, directions, plan),
  }),
});
