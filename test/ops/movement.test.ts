import { describe, expect, test } from "vitest";
import { chunk, concat, reshape, slice, split, type Tensor } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const sizeOf = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

/** Index of each axis for element i of a tensor of this shape. */
function indexOf(i: number, shape: readonly number[]): number[] {
  const index: number[] = [];
  for (let d = shape.length - 1; d >= 0; d--) {
    index.unshift(i % (shape[d] as number));
    i = Math.floor(i / (shape[d] as number));
  }
  return index;
}

function flat(index: readonly number[], shape: readonly number[]): number {
  return shape.reduce((a, n, d) => a * n + (index[d] as number), 0);
}

/** The result whose element at each index comes from the index that `from` names; `fill` where it names none. */
function moved(
  x: F64,
  shape: readonly number[],
  out: readonly number[],
  from: (index: number[]) => readonly number[] | null,
  fill = 0,
): F64 {
  return Float64Array.from({ length: sizeOf(out) }, (_, i) => {
    const source = from(indexOf(i, out));
    return source ? (x[flat(source, shape)] as number) : fill;
  });
}

describe("reshape", () => {
  test("moves nothing", () =>
    checkOp({
      shapes: [[2, 3, 4]],
      out: [6, 4],
      run: (x) => reshape(x, [-1, 4]),
      reference: (x) => x.slice(),
    }));
  test("sizes that do not fit", async () => {
    const engine = await testEngine();
    expect(() => engine.scope(() => reshape(engine.tensor([1, 2, 3]), [2, -1]))).toThrow(
      "expected 3 elements",
    );
  });
});

describe("concat", () => {
  const cases: [number[][], number][] = [
    [
      [
        [2, 3, 4, 4],
        [2, 5, 4, 4],
        [2, 1, 4, 4],
      ],
      1,
    ],
    [[[3], [1], [5]], 0],
    [
      [
        [2, 3],
        [2, 2],
      ],
      -1,
    ],
    [
      [
        [70, 4],
        [70, 8],
      ],
      1,
    ],
    [
      [
        [70, 3],
        [70, 2],
      ],
      1,
    ],
    [
      [
        [2, 3, 5, 7],
        [1, 3, 5, 7],
      ],
      0,
    ],
  ];
  for (const [shapes, axis] of cases)
    test(`${JSON.stringify(shapes)} along ${axis}`, () => {
      const first = shapes[0] as number[];
      const d = axis < 0 ? axis + first.length : axis;
      const out = first.map((n, k) => (k === d ? shapes.reduce((a, s) => a + (s[d] as number), 0) : n));
      return checkOp({
        shapes,
        out,
        run: (...x) => concat(x, axis),
        reference: (...x) =>
          Float64Array.from({ length: sizeOf(out) }, (_, i) => {
            const index = indexOf(i, out);
            let k = 0;
            while ((index[d] as number) >= (shapes[k]?.[d] as number)) {
              index[d] = (index[d] as number) - (shapes[k]?.[d] as number);
              k++;
            }
            return x[k]?.[flat(index, shapes[k] as number[])] as number;
          }),
      });
    });
  test("shapes that do not fit", async () => {
    const engine = await testEngine();
    const run = () => concat([engine.tensor([1, 2], [1, 2]), engine.tensor([1, 2, 3], [1, 3])], 0);
    expect(() => engine.scope(run)).toThrow("concat: [1,2] and [1,3] along axis 0");
  });
});

describe("slice", () => {
  const cases: [string, number[], number[], (number | null)[], number[], number[], number[]][] = [
    ["strided", [2, 5, 6, 7], [0, 1, 0, 1], [null, null, null, -1], [1, 2, 2, 1], [2, 2, 3, 5], [0, 1, 0, 1]],
    ["leading axis", [5, 3, 4], [1], [3], [], [2, 3, 4], [1, 0, 0]],
    ["channels", [2, 8, 3, 4], [0, 2], [null, 6], [], [2, 4, 3, 4], [0, 2, 0, 0]],
    ["channels of odd planes", [3, 5, 3, 3], [0, 1], [null, 4], [], [3, 3, 3, 3], [0, 1, 0, 0]],
    ["many pieces", [2, 70, 8], [0, 0, 4], [null, null, null], [], [2, 70, 4], [0, 0, 4]],
    ["a window", [1, 2, 9, 9], [0, 0, 2, 3], [1, 2, -1, -2], [], [1, 2, 6, 4], [0, 0, 2, 3]],
    ["from the end", [9], [-4], [null], [3], [2], [5]],
  ];
  for (const [name, shape, starts, ends, steps, out, first] of cases)
    test(name, () =>
      checkOp({
        shapes: [shape],
        out,
        run: (x) => slice(x, starts, ends, steps),
        reference: (x) =>
          moved(x, shape, out, (i) => i.map((v, d) => (first[d] as number) + v * (steps[d] ?? 1))),
      }),
    );
  test("split and chunk", () =>
    checkOp({
      shapes: [[3, 6, 4]],
      out: [3, 6, 4],
      run: (x) => {
        const [a, b, c] = split(x, [2, 3, 1], 1) as [Tensor, Tensor, Tensor];
        const [d, e] = chunk(a, 2, 1) as [Tensor, Tensor];
        return concat([c, e, b, d], 1);
      },
      reference: (x) =>
        moved(x, [3, 6, 4], [3, 6, 4], ([n, c, k]) => [n, [5, 1, 2, 3, 4, 0][c as number], k] as number[]),
    }));
  test("nothing left", async () => {
    const engine = await testEngine();
    expect(() => engine.scope(() => slice(engine.tensor([1, 2, 3]), [2], [2]))).toThrow("keeps no element");
  });
});
