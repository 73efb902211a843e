import { describe, expect, test } from "vitest";
import {
  chunk,
  concat,
  expand,
  pad,
  permute,
  pixelShuffle,
  pixelUnshuffle,
  reflectionPad2d,
  repeat,
  reshape,
  slice,
  split,
  type Padding,
  type Padding2d,
  type Tensor,
} from "../../src/tensor/index.ts";
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

describe("permute", () => {
  const cases: [number[], number[]][] = [
    [
      [2, 3, 4, 5],
      [0, 2, 3, 1],
    ],
    [
      [5, 7],
      [1, 0],
    ],
    [
      [2, 3, 4, 8],
      [1, 0, 2, 3],
    ],
    [
      [2, 3, 4],
      [0, 1, 2],
    ],
    [
      [2, 3, 4, 8],
      [2, -4, 1, -1],
    ],
    [
      [2, 3, 2, 3, 2, 3],
      [5, 3, 1, 4, 2, 0],
    ],
    [
      [40, 33, 17],
      [2, 0, 1],
    ],
  ];
  for (const [shape, order] of cases)
    test(`[${shape.join(",")}] as [${order.join(",")}]`, () => {
      const axes = order.map((d) => (d < 0 ? d + shape.length : d));
      const out = axes.map((d) => shape[d] as number);
      return checkOp({
        shapes: [shape],
        out,
        run: (x) => permute(x, order),
        reference: (x) => moved(x, shape, out, (i) => shape.map((_, d) => i[axes.indexOf(d)] as number)),
      });
    });
  test("axes named twice", async () => {
    const engine = await testEngine();
    expect(() => engine.scope(() => permute(engine.tensor([1, 2], [1, 2]), [0, 0]))).toThrow("permute");
  });
});

describe("pixel shuffle", () => {
  const shuffled = (x: F64): F64 =>
    moved(x, [2, 8, 3, 4], [2, 2, 6, 8], ([n = 0, c = 0, y = 0, z = 0]) => [
      n,
      (c * 2 + (y % 2)) * 2 + (z % 2),
      y >> 1,
      z >> 1,
    ]);
  test("channels to pixels", () =>
    checkOp({
      shapes: [[2, 8, 3, 4]],
      out: [2, 2, 6, 8],
      run: (x) => pixelShuffle(x, 2),
      reference: shuffled,
    }));
  test("and back", () =>
    checkOp({
      shapes: [[2, 8, 3, 4]],
      out: [2, 8, 3, 4],
      run: (x) => pixelUnshuffle(pixelShuffle(x, 2), 2),
      reference: (x) => x.slice(),
    }));
});

describe("expand and repeat", () => {
  const cases: [number[], number[]][] = [
    [
      [2, 3, 1, 1],
      [2, 3, 4, 4],
    ],
    [
      [3, 1],
      [2, 3, 5],
    ],
    [
      [1, 8],
      [3, 8],
    ],
    [[], [2, 3]],
    [
      [2, 1, 3, 1, 2],
      [2, 2, 3, 3, 2],
    ],
  ];
  for (const [shape, out] of cases)
    test(`[${shape.join(",")}] to [${out.join(",")}]`, () =>
      checkOp({
        shapes: [shape],
        out,
        run: (x) => expand(x, out),
        reference: (x) =>
          moved(x, shape, out, (i) =>
            shape.map((n, d) => (n === 1 ? 0 : (i[d + out.length - shape.length] as number))),
          ),
      }));
  test("repeat", () =>
    checkOp({
      shapes: [[2, 1, 3]],
      out: [4, 3, 6],
      run: (x) => repeat(x, [2, 3, 2]),
      reference: (x) => moved(x, [2, 1, 3], [4, 3, 6], ([a = 0, , c = 0]) => [a % 2, 0, c % 3]),
    }));
});

describe("pad", () => {
  const cases: [number[], Padding[], number][] = [
    [
      [2, 3, 4, 5],
      [
        [1, 2],
        [3, 0],
      ],
      0,
    ],
    [[2, 3, 4, 8], [[4, 8]], 0.5],
    [
      [2, 3, 4, 4],
      [
        [1, 1],
        [0, 0],
        [0, 0],
      ],
      0,
    ],
    [
      [2, 3, 3, 3],
      [
        [0, 1],
        [1, 0],
        [0, 0],
        [2, 2],
      ],
      -1,
    ],
    [[5], [[0, 0]], 0],
  ];
  for (const [shape, pads, value] of cases)
    test(`[${shape.join(",")}] by ${JSON.stringify(pads)}`, () => {
      const all = shape.map((_, d): Padding => pads[d - shape.length + pads.length] ?? [0, 0]);
      const out = shape.map((n, d) => n + (all[d]?.[0] ?? 0) + (all[d]?.[1] ?? 0));
      return checkOp({
        shapes: [shape],
        out,
        run: (x) => pad(x, pads, value),
        reference: (x) =>
          moved(
            x,
            shape,
            out,
            (i) => {
              const from = i.map((v, d) => v - (all[d]?.[0] ?? 0));
              return from.every((v, d) => v >= 0 && v < (shape[d] as number)) ? from : null;
            },
            value,
          ),
      });
    });
  test("negative", async () => {
    const engine = await testEngine();
    expect(() => engine.scope(() => pad(engine.tensor([1, 2]), [[-1, 0]]))).toThrow("integers of 0 or more");
  });
});

describe("reflectionPad2d", () => {
  const cases: [number[], Padding2d][] = [
    [
      [2, 3, 5, 6],
      [3, 3, 3, 3],
    ],
    [
      [1, 2, 4, 3],
      [2, 1, 0, 3],
    ],
    [
      [1, 1, 1, 2],
      [1, 1, 0, 0],
    ],
  ];
  for (const [shape, pads] of cases)
    test(`[${shape.join(",")}] by [${pads.join(",")}]`, () => {
      const [n, c, h, w] = shape as [number, number, number, number];
      const out = [n, c, h + pads[2] + pads[3], w + pads[0] + pads[1]];
      const mirror = (i: number, size: number): number => {
        const k = Math.abs(i);
        return k >= size ? 2 * (size - 1) - k : k;
      };
      return checkOp({
        shapes: [shape],
        out,
        run: (x) => reflectionPad2d(x, pads),
        reference: (x) =>
          moved(x, shape, out, ([a = 0, b = 0, y = 0, z = 0]) => [
            a,
            b,
            mirror(y - pads[2], h),
            mirror(z - pads[0], w),
          ]),
      });
    });
  test("as large as the side", async () => {
    const engine = await testEngine();
    const run = () => reflectionPad2d(engine.tensor([1, 2], [1, 1, 1, 2]), [2, 0, 0, 0]);
    expect(() => engine.scope(run)).toThrow("0 to below the side");
  });
});
