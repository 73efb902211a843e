import { describe, expect, test } from "vitest";
import { DtypeError, ShapeError, embedding, indexSelect } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const gather = (outer: number, rows: number, inner: number) => (x: F64, indices: F64) =>
  Float64Array.from({ length: outer * indices.length * inner }, (_, i) => {
    const row = indices[Math.floor(i / inner) % indices.length] as number;
    return x[(Math.floor(i / (inner * indices.length)) * rows + row) * inner + (i % inner)] as number;
  });

describe("embedding", () => {
  for (const [v, d] of [
    [1, 1],
    [10, 12],
    [7, 5],
    [300, 64],
  ] as const)
    for (const make of [Uint32Array, Int32Array])
      test(`[${v},${d}] by ${make.name}, with repeats and rows never asked for`, () => {
        const indices = make.from([0, v - 1, (v / 2) | 0, v - 1, 0, v - 1]);
        return checkOp({
          shapes: [[v, d], [6]],
          data: [null, indices as Uint32Array<ArrayBuffer>],
          out: [6, d],
          wrt: [0],
          tolerance: 0,
          run: (table, at) => embedding(table, at),
          reference: gather(1, v, d),
        });
      });

  test("numbers out of range give zeros", async () => {
    const engine = await testEngine();
    const y = engine.scope(() =>
      embedding(engine.tensor([1, 2, 3, 4], [2, 2]), engine.tensor(Int32Array.of(-1, 1, 2))),
    );
    expect([...(await y.read())]).toEqual([0, 0, 3, 4, 0, 0]);
    y.dispose();
  });

  test("indices that are no integers and tables that are no matrix are refused", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const table = engine.tensor([1, 2], [1, 2]);
      expect(() => embedding(table, engine.tensor([0]))).toThrow(DtypeError);
      expect(() => embedding(engine.tensor([1]), engine.tensor(Uint32Array.of(0)))).toThrow(ShapeError);
    });
  });
});

describe("indexSelect", () => {
  for (const [shape, axis] of [
    [[9], 0],
    [[3, 6, 5], 1],
    [[3, 6, 8], -2],
    [[2, 3, 7], 2],
  ] as const)
    test(`[${shape.join(",")}] along ${axis}`, () => {
      const at = (axis + shape.length) % shape.length;
      const size = (part: readonly number[]): number => part.reduce((a, b) => a * b, 1);
      return checkOp({
        shapes: [shape, [4]],
        data: [null, Int32Array.of(2, 0, 2, 1)],
        out: shape.map((v, i) => (i === at ? 4 : v)),
        wrt: [0],
        tolerance: 0,
        run: (x, indices) => indexSelect(x, axis, indices),
        reference: gather(size(shape.slice(0, at)), shape[at] as number, size(shape.slice(at + 1))),
      });
    });
});
