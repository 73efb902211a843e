import { describe, expect, test } from "vitest";
import { gridSample } from "../../src/tensor/index.ts";
import { checkOp, randomArray, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

/** grid_sample by its definition: four weighted neighbours, zeros outside. */
function sampled(x: F64, grid: F64, [n, c, h, w]: number[], [gn, oh, ow]: number[], corners: boolean): F64 {
  const points = (oh as number) * (ow as number);
  const [height, width] = [h as number, w as number];
  const place = (g: number, size: number): number =>
    corners ? ((g + 1) / 2) * (size - 1) : ((g + 1) * size - 1) / 2;
  return Float64Array.from({ length: (n as number) * (c as number) * points }, (_, i) => {
    const [plane, point] = [Math.floor(i / points), i % points];
    const image = gn === 1 ? 0 : Math.floor(plane / (c as number));
    const at = 2 * (image * points + point);
    const [px, py] = [place(grid[at] as number, width), place(grid[at + 1] as number, height)];
    let sum = 0;
    for (const y of [Math.floor(py), Math.floor(py) + 1])
      for (const z of [Math.floor(px), Math.floor(px) + 1])
        if (y >= 0 && z >= 0 && y < height && z < width)
          sum +=
            (1 - Math.abs(py - y)) * (1 - Math.abs(px - z)) * (x[(plane * height + y) * width + z] as number);
    return sum;
  });
}

describe("gridSample", () => {
  const cases: [number[], number[]][] = [
    [
      [1, 2, 6, 7],
      [1, 5, 4, 2],
    ],
    [
      [3, 2, 5, 4],
      [3, 3, 6, 2],
    ],
    [
      [3, 1, 4, 4],
      [1, 2, 3, 2],
    ],
    [
      [1, 1, 1, 1],
      [1, 2, 2, 2],
    ],
    [
      [2, 3, 16, 17],
      [2, 20, 21, 2],
    ],
  ];
  for (const corners of [false, true])
    for (const [shape, grid] of cases)
      test(`[${shape.join(",")}] at [${grid.join(",")}], alignCorners ${corners}`, () =>
        checkOp({
          shapes: [shape, grid],
          // Points inside and well outside of the picture.
          data: [
            randomArray(
              shape.reduce((a, b) => a * b, 1),
              5,
            ),
            randomArray(
              grid.reduce((a, b) => a * b, 1),
              6,
              -1.4,
              1.4,
            ),
          ],
          out: [shape[0] as number, shape[1] as number, grid[1] as number, grid[2] as number],
          run: (x, g) => gridSample(x, g, { alignCorners: corners }),
          reference: (x, g) => sampled(x, g, shape, grid, corners),
        }));
  test("a grid of another batch", async () => {
    const engine = await testEngine();
    const run = () =>
      gridSample(engine.tensor([1, 2, 3], [3, 1, 1, 1]), engine.tensor([1, 2, 3, 4], [2, 1, 1, 2]));
    expect(() => engine.scope(run)).toThrow("expected a grid of [3 or 1,h,w,2]");
  });
});
