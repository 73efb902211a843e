import { describe, expect, test } from "vitest";
import {
  ShapeError,
  cumprod,
  l2norm,
  max,
  mean,
  std,
  sum,
  variance,
  type Tensor,
} from "../../src/tensor/index.ts";
import { checkOp, randomArray, relativeError, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

/** Members of each result, in order. */
function groupsOf(shape: readonly number[], axes: readonly number[]): number[][] {
  const total = shape.reduce((a, b) => a * b, 1);
  const groups = new Map<number, number[]>();
  for (let i = 0; i < total; i++) {
    let [rest, j, weight] = [i, 0, 1];
    for (let a = shape.length - 1; a >= 0; a--) {
      const size = shape[a] as number;
      if (!axes.includes(a)) {
        j += (rest % size) * weight;
        weight *= size;
      }
      rest = Math.floor(rest / size);
    }
    groups.set(j, [...(groups.get(j) ?? []), i]);
  }
  return [...groups].sort((a, b) => a[0] - b[0]).map(([, members]) => members);
}

const each =
  (shape: readonly number[], axes: readonly number[], f: (v: number[]) => number) =>
  (x: F64): F64 => {
    const groups = groupsOf(shape, axes);
    return Float64Array.from(groups, (g) => f(g.map((i) => x[i] as number)));
  };

const total = (v: number[]): number => v.reduce((a, b) => a + b, 0);
const spreadOf = (unbiased: boolean) => (v: number[]) => {
  const m = total(v) / v.length;
  return total(v.map((a) => (a - m) ** 2)) / (v.length - Number(unbiased));
};

const cases: [number[], number[]][] = [
  [[7], [0]],
  [
    [3, 4, 5, 6],
    [0, 1, 2, 3],
  ],
  [[3, 4, 5, 6], [1]],
  [
    [3, 4, 5, 6],
    [2, 3],
  ],
  [
    [3, 4, 5, 6],
    [0, 2, 3],
  ],
  [
    [2, 3, 2, 3, 4],
    [1, 3],
  ],
  [[3, 1, 4], [1]],
  [[2, 300, 4], [1]],
  [
    [2, 8, 8, 8],
    [0, 2, 3],
  ],
  [[5, 1031], [1]],
];

const kinds: [
  string,
  (x: Tensor, o: { axes: number[]; keepdim: boolean }) => Tensor,
  (v: number[]) => number,
][] = [
  ["sum", sum, total],
  ["mean", mean, (v) => total(v) / v.length],
  ["max", max, (v) => Math.max(...v)],
  ["variance", (x, o) => variance(x, { ...o, unbiased: false }), spreadOf(false)],
  ["l2norm", l2norm, (v) => Math.hypot(...v)],
];

for (const [name, op, f] of kinds)
  describe(name, () => {
    for (const [shape, axes] of cases)
      for (const keepdim of [false, true])
        test(`[${shape.join(",")}] over ${axes.join(",")}${keepdim ? " kept" : ""}`, () =>
          checkOp({
            shapes: [shape],
            out: shape.flatMap((v, i) => (axes.includes(i) ? (keepdim ? [1] : []) : [v])),
            run: (x) => op(x, { axes, keepdim }),
            reference: each(shape, axes, f),
          }));
  });

describe("std and unbiased variance", () => {
  for (const [shape, axes] of cases.filter(([s, a]) => total(a.map((i) => s[i] as number)) > a.length)) {
    const out = shape.filter((_, i) => !axes.includes(i));
    test(`std [${shape.join(",")}] over ${axes.join(",")}`, () =>
      checkOp({
        shapes: [shape],
        out,
        run: (x) => std(x, { axes }),
        reference: each(shape, axes, (v) => Math.sqrt(spreadOf(true)(v))),
      }));
    test(`variance [${shape.join(",")}] over ${axes.join(",")}`, () =>
      checkOp({
        shapes: [shape],
        out,
        run: (x) => variance(x, { axes }),
        reference: each(shape, axes, spreadOf(true)),
      }));
  }
  test("of one value each is refused", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.tensor(new Float32Array(3), [3, 1]);
      expect(() => std(x, { axes: [1] })).toThrow(ShapeError);
    });
  });
});

describe("long sums", () => {
  for (const n of [25_003, 1_048_576, 3_000_001])
    test(`n = ${n}: errors near 1e-7, the same bits each time`, async () => {
      const engine = await testEngine();
      const x = randomArray(n, 5, 0, 1);
      const want = x.reduce((a, b) => a + b, 0);
      const results = engine.scope(() => {
        const t = engine.tensor(x);
        return [sum(t), sum(t), mean(t)];
      });
      const [a, b, c] = await Promise.all(results.map((t) => t.read()));
      expect(relativeError(a as Float32Array, [want])).toBeLessThan(2e-7);
      expect(a).toEqual(b);
      expect(relativeError(c as Float32Array, [want / n])).toBeLessThan(2e-7);
      for (const t of results) t.dispose();
    });
});

test("gradients at the kinks: ties of max share, norm and std of constants give 0", async () => {
  const engine = await testEngine();
  const [ties, norm, deviation] = engine.scope(() => {
    const of = (data: number[], f: (x: Tensor) => Tensor): Tensor => {
      const x = engine.tensor(data);
      x.requiresGrad = true;
      return engine.gradients(f(x), [x])[0] as Tensor;
    };
    return [
      of([1, 3, 3, 2], (x) => max(x)),
      of([0, 0, 0], (x) => l2norm(x)),
      of([2, 2, 2], (x) => std(x)),
    ] as const;
  });
  expect([...(await ties.read())]).toEqual([0, 0.5, 0.5, 0]);
  expect([...(await norm.read())]).toEqual([0, 0, 0]);
  expect([...(await deviation.read())]).toEqual([0, 0, 0]);
  for (const t of [ties, norm, deviation]) t.dispose();
});

describe("cumprod", () => {
  for (const [shape, axis] of [
    [[5], 0],
    [[3, 4, 5], 1],
    [[3, 4, 5], -1],
    [[2, 100], 1],
  ] as const)
    test(`[${shape.join(",")}] along ${axis}`, () => {
      const at = axis < 0 ? axis + shape.length : axis;
      const inner = shape.slice(at + 1).reduce((a, b) => a * b, 1);
      return checkOp({
        shapes: [shape],
        out: shape,
        range: [0.6, 1.4],
        run: (x) => cumprod(x, axis),
        reference: (x) => {
          const y = Float64Array.from(x);
          for (let i = 0; i < y.length; i++)
            if (Math.floor(i / inner) % (shape[at] as number) > 0)
              y[i] = (y[i] as number) * (y[i - inner] as number);
          return y;
        },
      });
    });
  test("a zero among the factors", () =>
    checkOp({
      shapes: [[4]],
      data: [Float32Array.of(2, 0, 3, -1)],
      out: [4],
      run: (x) => cumprod(x, 0),
      reference: (x) => {
        let p = 1;
        return x.map((v) => (p *= v));
      },
    }));
});
