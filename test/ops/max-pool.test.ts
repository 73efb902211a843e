import { describe, expect, test } from "vitest";
import { maxPool2d, type MaxPoolOptions } from "../../src/tensor/index.ts";
import { checkOp, randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

/** By its definition: the elements of each window, those outside left away. */
function reference(
  x: Float64Array,
  [n, c, h, w]: readonly number[],
  o: MaxPoolOptions,
  out: readonly number[],
): Float64Array {
  const { kernel: k, stride = k, padding = 0 } = o;
  const [oh, ow] = [out[2]!, out[3]!];
  return Float64Array.from({ length: n! * c! * oh * ow }, (_, i) => {
    const [plane, row, column] = [Math.floor(i / (oh * ow)), Math.floor(i / ow) % oh, i % ow];
    let most = -Infinity;
    for (let a = 0; a < k; a++)
      for (let b = 0; b < k; b++) {
        const [y, z] = [row * stride + a - padding, column * stride + b - padding];
        if (y >= 0 && z >= 0 && y < h! && z < w!) most = Math.max(most, x[(plane * h! + y) * w! + z]!);
      }
    return most;
  });
}

/** Numbers far enough apart for central differences: a shuffled grid. */
function distinct(n: number): Float32Array<ArrayBuffer> {
  const keys = randomArray(n, 3);
  const order = Array.from(keys, (_, i) => i).sort((a, b) => keys[a]! - keys[b]!);
  const out = new Float32Array(n);
  order.forEach((at, rank) => (out[at] = (2 * rank) / n - 1));
  return out;
}

describe("maxPool2d", () => {
  const cases: [number[], MaxPoolOptions, number, number][] = [
    [[2, 3, 8, 6], { kernel: 2 }, 4, 3],
    [[1, 2, 9, 7], { kernel: 2, stride: 2 }, 4, 3],
    [[2, 2, 13, 15], { kernel: 3, stride: 2 }, 6, 7],
    [[2, 2, 14, 15], { kernel: 3, stride: 2, ceil: true }, 7, 7],
    [[1, 1, 4, 4], { kernel: 1, stride: 3, ceil: true }, 2, 2],
    [[1, 1, 5, 6], { kernel: 2, stride: 4, padding: 1, ceil: true }, 2, 2],
    [[2, 1, 7, 5], { kernel: 3, stride: 1, padding: 1 }, 7, 5],
    [[1, 3, 5, 4], { kernel: 3, stride: 3, padding: 1 }, 2, 2],
    [[1, 1, 3, 3], { kernel: 3 }, 1, 1],
    [[2, 16, 40, 40], { kernel: 3, stride: 2, ceil: true }, 20, 20],
  ];
  for (const [shape, options, h, w] of cases)
    test(`[${shape.join(",")}] ${JSON.stringify(options)}`, () => {
      const out = [shape[0]!, shape[1]!, h, w];
      return checkOp({
        shapes: [shape],
        data: [distinct(shape.reduce((a, b) => a * b, 1))],
        out,
        run: (x) => maxPool2d(x, options),
        reference: (x) => reference(x, shape, options, out),
      });
    });

  test("of equal elements the first gets the gradient; negative ones beat the padding", async () => {
    const engine = await testEngine();
    const { y, g } = engine.scope(() => {
      const x = engine.tensor(new Float32Array(4).fill(-3), [1, 1, 2, 2]);
      x.requiresGrad = true;
      const y = maxPool2d(x, { kernel: 2, stride: 2, padding: 1 });
      const [g] = engine.gradients(y, [x], engine.tensor([1, 2, 3, 4], y.shape));
      return { y, g: g! };
    });
    expect([...(await y.read())]).toEqual([-3, -3, -3, -3]);
    expect([...(await g.read())]).toEqual([1, 2, 3, 4]);
    for (const t of [y, g]) t.dispose();
    const tied = engine.scope(() => {
      const x = engine.tensor(new Float32Array(9).fill(5), [1, 1, 3, 3]);
      x.requiresGrad = true;
      return engine.gradients(
        maxPool2d(x, { kernel: 2, stride: 1 }),
        [x],
        engine.tensor([1, 2, 3, 4], [1, 1, 2, 2]),
      )[0]!;
    });
    expect([...(await tied.read())]).toEqual([1, 2, 0, 3, 4, 0, 0, 0, 0]);
    tied.dispose();
  });

  test("refuses windows that do not fit", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.tensor(new Float32Array(4), [1, 1, 2, 2]);
      expect(() => maxPool2d(x, { kernel: 3 })).toThrow("no window of 3 x 3");
      expect(() => maxPool2d(x, { kernel: 2, padding: 2 })).toThrow("padding 2");
      expect(() => maxPool2d(x, { kernel: 0 })).toThrow("kernel 0");
    });
  });
});
