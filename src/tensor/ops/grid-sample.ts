import { gridSampleBackward, gridSampleBackwardGrid, gridSampleForward } from "../../kernels/grid-sample.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { expand } from "./expand.ts";

export interface GridSampleOptions {
  /** -1 and 1 are the centres of the border pixels; default false: their outer edges. */
  readonly alignCorners?: boolean;
}

interface Sizes {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly points: number;
}

function sizesOf(x: Shape, grid: Shape): Sizes {
  const [n = 1, c = 1, h = 1, w = 1] = x;
  return { n, c, h, w, points: (grid[1] ?? 1) * (grid[2] ?? 1) };
}

const op = defineOp<[Tensor, Tensor], [corners: boolean]>("gridSample", {
  inputs: 2,
  check(x, grid) {
    for (const [t, what] of [
      [x, "x"],
      [grid, "grid"],
    ] as const) {
      expectDtype("gridSample", t, "f32", what);
      expectRank("gridSample", t, 4, what);
    }
    if (grid.dim(0) !== x.dim(0) || grid.dim(3) !== 2)
      throw new ShapeError(
        `gridSample: x ${showShape(x.shape)}, grid ${showShape(grid.shape)}; expected a grid of [${x.dim(0)} or 1,h,w,2]`,
      );
  },
  forward(x, grid, corners) {
    const s = sizesOf(x.shape, grid.shape);
    const out = x.engine.empty([s.n, s.c, grid.dim(1), grid.dim(2)], "f32", "gridSample");
    const values = { CORNERS: Number(corners) };
    gridSampleForward(x.device, { source: x, grid, out }, { ...s, n: s.n * s.points }, values);
    return { out };
  },
  save: (_, x, grid) => [grid.requiresGrad ? x : null, grid],
  backward(dy, [x = null, grid = null], needs, shape, gridShape, corners) {
    const s = sizesOf(shape, gridShape);
    const values = { CORNERS: Number(corners) };
    const byX = (): Tensor => {
      const out = dy.engine.empty(shape, "f32", "gridSample gradient");
      gridSampleBackward(dy.device, { grid, dy, out }, { ...s, n: s.n * s.h }, values);
      return out;
    };
    const byGrid = (): Tensor => {
      const out = dy.engine.empty(gridShape, "f32", "gridSample gradient by the grid");
      const buffers = { source: x, grid, dy, out_grid: out };
      gridSampleBackwardGrid(dy.device, buffers, { ...s, n: s.n * s.points }, values);
      return out;
    };
    return [needs[0] ? byX() : null, needs[1] ? byGrid() : null];
  },
});

/**
 * Bilinear samples of x at the points of a grid, zeros outside, as PyTorch's grid_sample. x: f32[n, c, h, w]; grid:
 * f32[n or 1, H, W, 2], column then row, both -1 to 1 across the picture; result f32[n, c, H, W]. Gradients by both.
 */
export function gridSample(
  x: Tensor,
  grid: Tensor,
  { alignCorners = false }: GridSampleOptions = {},
): Tensor {
  const each = grid.shape[0] === 1 && x.dim(0) > 1 ? expand(grid, [x.dim(0), ...grid.shape.slice(1)]) : grid;
  return op(x, each, alignCorners);
}
