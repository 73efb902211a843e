import { describe, expect, test } from "vitest";
import { Dropout } from "../../src/nn/index.ts";
import { dropout, Philox } from "../../src/tensor/index.ts";
import { checkOp } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const [seed, stream] = [0x1_0000_0003, 0x2_0000_0005];

/** Factors by the float64 twin of the generator. */
function factors(images: number, size: number, rate: number, first = 0): number[] {
  return Array.from({ length: images }, (_, n) => new Philox(seed, stream, first + n)).flatMap((p) =>
    Array.from({ length: size }, () => (p.uniform() >= Math.fround(rate) ? 1 / (1 - rate) : 0)),
  );
}

describe("dropout", () => {
  for (const [n, size] of [
    [1, 1],
    [3, 5],
    [2, 64],
    [3, 1027],
  ] as const)
    for (const rate of [0, 0.1, 0.75])
      test(`[${n}, ${size}], rate ${rate}`, () => {
        const factor = factors(n, size, rate, 2);
        return checkOp({
          shapes: [[n, size]],
          out: [n, size],
          run: (x) => dropout(x, { rate, seed, stream, first: 2 }),
          reference: (x) => x.map((v, i) => v * factor[i]!),
        });
      });

  test("keeps the share asked for", () => {
    const factor = factors(1, 100_000, 0.3);
    expect(Math.abs(factor.filter((f) => f === 0).length / 1e5 - 0.3)).toBeLessThan(0.01);
  });

  test("a rate of 1 is refused", async () => {
    const engine = await testEngine();
    const x = engine.tensor(new Float32Array(4), [1, 4]);
    expect(() => dropout(x, { rate: 1, seed, stream })).toThrow(/dropout: rate is 1; expected/);
    x.dispose();
  });
});

test("a network's dropout: off outside training, other values each call, the same again for the same draw", async () => {
  const engine = await testEngine();
  const layer = new Dropout(0.5);
  const x = engine.tensor(new Float32Array(256).fill(1), [2, 128]);
  expect(layer.apply(x)).toBe(x);
  const twice = () => layer.during({ seed, stream }, () => [layer.apply(x), layer.apply(x)]);
  const read = async () => {
    const tensors = twice();
    const values = await Promise.all(tensors.map((t) => t.read()));
    for (const t of tensors) t.dispose();
    return values;
  };
  const [a, b] = await read();
  expect(a).not.toEqual(b);
  expect(await read()).toEqual([a, b]);
  expect(layer.apply(x)).toBe(x);
  x.dispose();
});
