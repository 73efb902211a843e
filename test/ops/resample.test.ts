import { describe, test } from "vitest";
import { avgPool2d, upsampleNearest } from "../../src/tensor/index.ts";
import { checkOp } from "../helpers/check-op.ts";

describe("upsampleNearest", () => {
  const cases: [number[], number][] = [
    [[2, 3, 4, 5], 2],
    [[2, 3, 4, 8], 2],
    [[4, 8, 32, 32], 2],
    [[1, 2, 3, 3], 3],
    [[3, 1, 1, 4], 4],
    [[1, 1, 2, 2], 1],
  ];
  for (const [shape, k] of cases)
    test(`[${shape.join(",")}] times ${k}`, () => {
      const [n, c, h, w] = shape as [number, number, number, number];
      return checkOp({
        shapes: [shape],
        out: [n, c, h * k, w * k],
        run: (x) => upsampleNearest(x, k),
        reference: (x) =>
          Float64Array.from({ length: x.length * k * k }, (_, i) => {
            const [p, row, col] = [
              Math.floor(i / (h * w * k * k)),
              Math.floor(i / (w * k)) % (h * k),
              i % (w * k),
            ];
            return x[(p * h + Math.floor(row / k)) * w + Math.floor(col / k)] as number;
          }),
      });
    });
});

describe("avgPool2d", () => {
  const cases: [number[], number][] = [
    [[2, 3, 6, 8], 2],
    [[2, 3, 5, 7], 2],
    [[2, 3, 5, 8], 2],
    [[4, 8, 32, 64], 2],
    [[1, 2, 9, 11], 3],
    [[3, 1, 8, 8], 4],
    [[1, 1, 2, 2], 1],
  ];
  for (const [shape, k] of cases)
    test(`[${shape.join(",")}] by ${k}`, () => {
      const [n, c, h, w] = shape as [number, number, number, number];
      const [oh, ow] = [Math.floor(h / k), Math.floor(w / k)];
      return checkOp({
        shapes: [shape],
        out: [n, c, oh, ow],
        run: (x) => avgPool2d(x, k),
        reference: (x) =>
          Float64Array.from({ length: n * c * oh * ow }, (_, i) => {
            const [p, row, col] = [Math.floor(i / (oh * ow)), Math.floor(i / ow) % oh, i % ow];
            let sum = 0;
            for (let y = 0; y < k; y++)
              for (let z = 0; z < k; z++) sum += x[(p * h + row * k + y) * w + col * k + z] as number;
            return sum / (k * k);
          }),
      });
    });
});
