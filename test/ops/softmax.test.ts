import { describe, expect, test } from "vitest";
import { logSoftmax, ShapeError, sizeOf, softmax } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const reference =
  (shape: readonly number[], axis: number, log: boolean) =>
  (x: F64): F64 => {
    const at = axis < 0 ? shape.length + axis : axis;
    const [n, stride] = [shape[at] as number, sizeOf(shape.slice(at + 1))];
    const out = new Float64Array(x.length);
    for (let line = 0; line < x.length / n; line++) {
      const first = Math.floor(line / stride) * n * stride + (line % stride);
      const values = Array.from({ length: n }, (_, i) => x[first + i * stride] as number);
      const top = Math.max(...values);
      const total = values.reduce((s, v) => s + Math.exp(v - top), 0);
      values.forEach((v, i) => {
        out[first + i * stride] = log ? v - top - Math.log(total) : Math.exp(v - top) / total;
      });
    }
    return out;
  };

for (const [name, op, log] of [
  ["softmax", softmax, false],
  ["logSoftmax", logSoftmax, true],
] as const)
  describe(name, () => {
    for (const [shape, axis] of [
      [[1], -1],
      [[4, 6, 33], -1],
      [[3, 64], 1],
      [[3, 200], -1],
      [[5, 7, 4], 1],
      [[9, 130], 0],
      [[70, 1], -1],
    ] as const)
      test(`[${shape.join(",")}] along ${axis}`, () =>
        checkOp({
          shapes: [shape],
          out: shape,
          range: [-6, 6],
          run: (x) => op(x, axis),
          reference: reference(shape, axis, log),
        }));

    test("large values do not overflow", async () => {
      const engine = await testEngine();
      const y = engine.scope(() => op(engine.tensor([1000, 1001, 990, 1000], [4])));
      const want = reference([4], 0, log)(Float64Array.of(1000, 1001, 990, 1000));
      (await y.read()).forEach((v, i) => expect(v).toBeCloseTo(want[i] as number, 5));
      y.dispose();
    });

    test("refuses an axis that is not there", async () => {
      const engine = await testEngine();
      engine.scope(() => {
        expect(() => op(engine.empty([2, 3]), 2)).toThrow(ShapeError);
        expect(() => op(engine.empty([2, 0]))).toThrow("empty axis");
      });
    });
  });
