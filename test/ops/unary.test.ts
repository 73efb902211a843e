import { describe, expect, test } from "vitest";
import {
  abs,
  affine,
  clamp,
  cos,
  exp,
  floor,
  leakyRelu,
  lincomb,
  log,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  sin,
  sqrt,
  square,
  tanh,
  type Tensor,
} from "../../src/tensor/index.ts";
import { checkOp } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const table: [string, (x: Tensor) => Tensor, (v: number) => number, [number, number]][] = [
  ["relu", relu, (v) => Math.max(v, 0), [-2, 2]],
  ["leakyRelu", (x) => leakyRelu(x, 0.1), (v) => (v > 0 ? v : 0.1 * v), [-2, 2]],
  ["sigmoid", sigmoid, (v) => 1 / (1 + Math.exp(-v)), [-12, 12]],
  ["tanh", tanh, Math.tanh, [-6, 6]],
  ["tanh near 0", tanh, Math.tanh, [-0.3, 0.3]],
  ["exp", exp, Math.exp, [-4, 4]],
  ["log", log, Math.log, [0.1, 9]],
  ["sqrt", sqrt, Math.sqrt, [0.1, 9]],
  ["rsqrt", rsqrt, (v) => 1 / Math.sqrt(v), [0.1, 9]],
  ["square", square, (v) => v * v, [-3, 3]],
  ["abs", abs, Math.abs, [-3, 3]],
  ["sin", sin, Math.sin, [-7, 7]],
  ["sin far from 0", sin, Math.sin, [-900, 900]],
  ["cos", cos, Math.cos, [-7, 7]],
  ["clamp", (x) => clamp(x, -1, 0.5), (v) => Math.min(0.5, Math.max(-1, v)), [-2, 2]],
  ["affine", (x) => affine(x, 2.5, -0.5), (v) => 2.5 * v - 0.5, [-2, 2]],
  ["neg", neg, (v) => -v, [-2, 2]],
  ["reciprocal", reciprocal, (v) => 1 / v, [0.3, 4]],
];

for (const [name, run, f, range] of table)
  describe(name, () => {
    for (const n of [1, 3, 257, 70001])
      test(`n = ${n}`, () => checkOp({ shapes: [[n]], out: [n], range, run, reference: (x) => x.map(f) }));
  });

describe("steps, away from their jumps", () => {
  const steps: [string, (x: Tensor) => Tensor, (v: number) => number][] = [
    ["floor", floor, Math.floor],
    ["round", round, (v) => Math.floor(v + 0.5)],
  ];
  for (const [name, run, f] of steps)
    test(name, () => {
      const data = [new Float32Array(257).map((_, i) => (i % 11) - 5 + (i % 2 === 0 ? 0.3 : 0.7))];
      return checkOp({ shapes: [[257]], data, out: [257], run, reference: (x) => x.map(f) });
    });
});

test("round takes the even of two numbers that are as near", async () => {
  const engine = await testEngine();
  const y = engine.scope(() => round(engine.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])));
  expect([...(await y.read())].map((v) => v + 0)).toEqual([-2, -2, 0, 0, 2, 2]);
  y.dispose();
});

test("far from 0 the functions saturate", async () => {
  const engine = await testEngine();
  const far = [-1e4, -200, 200, 1e4];
  const [s, t] = engine.scope(() => {
    const x = engine.tensor(far);
    return [sigmoid(x), tanh(x)] as const;
  });
  expect([...(await s.read())]).toEqual([0, 0, 1, 1]);
  expect([...(await t.read())]).toEqual([-1, -1, 1, 1]);
  s.dispose();
  t.dispose();
});

test("gradients at the kinks are PyTorch's", async () => {
  const engine = await testEngine();
  const at = async (run: (x: Tensor) => Tensor, x: number[]): Promise<number[]> => {
    const [g] = engine.scope(() => {
      const leaf = engine.tensor(x);
      leaf.requiresGrad = true;
      return engine.gradients(run(leaf), [leaf], engine.tensor(x.map(() => 1)));
    });
    const values = [...(await (g as Tensor).read())];
    g?.dispose();
    return values;
  };
  expect(await at(relu, [0])).toEqual([0]);
  expect(await at(abs, [0])).toEqual([0]);
  expect(await at((x) => clamp(x, -1, 1), [-1, 1])).toEqual([1, 1]);
  expect(await at((x) => leakyRelu(x, 0.5), [0])).toEqual([0.5]);
});

describe("lincomb", () => {
  for (const shape of [[3, 2, 4, 4], [3, 3, 3, 3], [3]])
    for (const lists of [[], ["a"], ["b"], ["a", "b"]])
      test(`[${shape.join(",")}], lists: ${lists.join(", ")}`, () => {
        const [a, b] = [
          [0.5, -2, 3],
          [1.5, 0.25, -1],
        ];
        const inner = shape.reduce((x, y) => x * y, 1) / 3;
        return checkOp({
          shapes: [shape, shape],
          out: shape,
          run(x, y) {
            const list = (name: string, v: number[]) =>
              lists.includes(name) ? x.engine.tensor(v) : (v[0] as number);
            return lincomb(list("a", a), x, list("b", b), y);
          },
          reference: (x, y) =>
            x.map((v, i) => {
              const pick = (name: string, c: number[]): number =>
                c[lists.includes(name) ? Math.floor(i / inner) : 0] as number;
              return pick("a", a) * v + pick("b", b) * (y[i] as number);
            }),
        });
      });
  test("coefficients of another batch", async () => {
    const engine = await testEngine();
    const run = () => lincomb(engine.tensor([1, 2]), engine.tensor([1, 2, 3]), 1, engine.tensor([1, 2, 3]));
    expect(() => engine.scope(run)).toThrow("lincomb: a has shape [2]; expected [3]");
  });
});
