import { describe, expect, test } from "vitest";
import { add, div, maximum, mul, sub, type Tensor } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { broadcastStrides } from "../../src/tensor/strides.ts";

const ops: [string, (a: Tensor, b: Tensor) => Tensor, (a: number, b: number) => number][] = [
  ["add", add, (a, b) => a + b],
  ["sub", sub, (a, b) => a - b],
  ["mul", mul, (a, b) => a * b],
  ["div", div, (a, b) => a / b],
  ["maximum", maximum, (a, b) => Math.max(a, b)],
];

/** Every way of indexing: equal shapes, over rows, whole repeats, and any strides; sizes that no vec4 divides among them. */
const cases: [number[], number[], number[]][] = [
  [[1], [1], [1]],
  [[7], [7], [7]],
  [
    [3, 85, 67],
    [3, 85, 67],
    [3, 85, 67],
  ],
  [
    [2, 3, 4, 8],
    [2, 3, 1, 1],
    [2, 3, 4, 8],
  ],
  [
    [2, 3, 3, 5],
    [2, 3, 1, 1],
    [2, 3, 3, 5],
  ],
  [
    [2, 3, 4, 4],
    [2, 1, 1, 1],
    [2, 3, 4, 4],
  ],
  [
    [2, 3, 4, 4],
    [3, 1, 1],
    [2, 3, 4, 4],
  ],
  [
    [4, 4, 37, 64],
    [4, 1, 1],
    [4, 4, 37, 64],
  ],
  [[3, 8], [8], [3, 8]],
  [[8], [3, 8], [3, 8]],
  [[3, 5], [5], [3, 5]],
  [[4, 5], [], [4, 5]],
  [[], [4, 5], [4, 5]],
  [[33, 300], [], [33, 300]],
  [
    [2, 3, 1, 1],
    [2, 3, 4, 4],
    [2, 3, 4, 4],
  ],
  [
    [2, 3, 4, 5],
    [2, 1, 4, 1],
    [2, 3, 4, 5],
  ],
  [
    [2, 1, 3, 1],
    [1, 4, 1, 5],
    [2, 4, 3, 5],
  ],
  [
    [2, 1, 3, 1, 2, 1],
    [1, 2, 1, 3, 1, 2],
    [2, 2, 3, 3, 2, 2],
  ],
];

function elementwise(
  f: (a: number, b: number) => number,
  a: F64,
  b: F64,
  [sa, sb, out]: [number[], number[], number[]],
): F64 {
  const size = out.reduce((x, y) => x * y, 1);
  const at = (i: number, strides: number[]): number => {
    let [rest, k] = [i, 0];
    for (let d = out.length - 1; d >= 0; d--) {
      k += (rest % (out[d] as number)) * (strides[d] as number);
      rest = Math.floor(rest / (out[d] as number));
    }
    return k;
  };
  const [ka, kb] = [broadcastStrides(sa, out), broadcastStrides(sb, out)];
  return Float64Array.from({ length: size }, (_, i) => f(a[at(i, ka)] as number, b[at(i, kb)] as number));
}

for (const [name, op, f] of ops)
  describe(name, () => {
    for (const c of cases)
      test(`[${c[0].join(",")}] and [${c[1].join(",")}]`, () =>
        checkOp({
          shapes: [c[0], c[1]],
          out: c[2],
          range:
            name === "div"
              ? [
                  [-1, 1],
                  [0.5, 1.5],
                ]
              : [-1, 1],
          run: op,
          reference: (a, b) => elementwise(f, a, b, c),
        }));
  });

describe("gradients", () => {
  test("one tensor on both sides", () =>
    checkOp({ shapes: [[5]], out: [5], run: (x) => mul(x, x), reference: (x) => x.map((v) => v * v) }));
  test("only the wanted operand", () =>
    checkOp({
      shapes: [
        [2, 3, 4, 4],
        [3, 1, 1],
      ],
      wrt: [1],
      out: [2, 3, 4, 4],
      run: mul,
      reference: (a, b) =>
        elementwise((x, y) => x * y, a, b, [
          [2, 3, 4, 4],
          [3, 1, 1],
          [2, 3, 4, 4],
        ]),
    }));
  test("maximum shares where both are equal", async () => {
    const engine = await testEngine();
    const grads = engine.scope(() => {
      const [a, b] = [engine.tensor([1, 2, 3]), engine.tensor([3, 2, 1])];
      a.requiresGrad = b.requiresGrad = true;
      return engine.gradients(maximum(a, b), [a, b], engine.tensor([1, 1, 1]));
    });
    expect([...(await (grads[0] as Tensor).read())]).toEqual([0, 0.5, 1]);
    expect([...(await (grads[1] as Tensor).read())]).toEqual([1, 0.5, 0]);
    for (const g of grads) g?.dispose();
  });
  test("shapes that do not broadcast", async () => {
    const engine = await testEngine();
    expect(() => engine.scope(() => add(engine.tensor([1, 2]), engine.tensor([1, 2, 3])))).toThrow(
      "add: shapes [2] and [3] do not broadcast",
    );
  });
});
