import { describe, expect, test } from "vitest";
import { linear, ShapeError } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const reference =
  (k: number, n: number) =>
  (x: F64, w: F64, b?: F64): F64 =>
    Float64Array.from({ length: (x.length / k) * n }, (_, at) => {
      const [i, j] = [Math.floor(at / n), at % n];
      let s = b?.[j] ?? 0;
      for (let q = 0; q < k; q++) s += (x[i * k + q] as number) * (w[j * k + q] as number);
      return s;
    });

describe("linear", () => {
  for (const [lead, k, n] of [
    [[5], 33, 17],
    [[2, 7], 16, 24],
    [[], 8, 12],
    [[1], 1, 1],
    [[6], 4, 3],
    [[64], 32, 128],
  ] as const)
    for (const bias of [true, false])
      test(`x [${[...lead, k].join(",")}], out ${n}, ${bias ? "with" : "no"} bias`, () =>
        checkOp({
          shapes: [[...lead, k], [n, k], bias ? [n] : null],
          out: [...lead, n],
          run: (x, w, b) => linear(x, w, b ?? null),
          reference: reference(k, n),
        }));

  test("refuses what does not fit", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [x, w] = [engine.empty([2, 3]), engine.empty([5, 4])];
      expect(() => linear(x, w, null)).toThrow(ShapeError);
      expect(() => linear(x, w, null)).toThrow("x [2,3] does not fit w [5,4]");
      expect(() => linear(engine.empty([2, 4]), w, engine.empty([4]))).toThrow(
        "b has shape [4]; expected [5]",
      );
    });
  });
});
