import { describe, expect, test } from "vitest";
import { ShapeError, timestepEmbedding } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";

describe("timestepEmbedding", () => {
  for (const dim of [2, 32, 33, 64])
    test(`dim ${dim}: cosines, then sines, then a zero where dim is odd`, async () => {
      const engine = await testEngine();
      const t = [0, 1, 0.25, 17, 999];
      const y = timestepEmbedding(engine, t, dim);
      expect(y.shape).toEqual([5, dim]);
      const got = await y.read();
      y.dispose();
      const half = Math.floor(dim / 2);
      t.forEach((step, n) => {
        for (let i = 0; i < half; i++) {
          const angle = step * 10000 ** (-i / half);
          // A float32 angle is known to 2^-23 of itself.
          const tolerance = 1e-6 + 4e-7 * angle;
          expect(Math.abs((got[n * dim + i] as number) - Math.cos(angle))).toBeLessThan(tolerance);
          expect(Math.abs((got[n * dim + half + i] as number) - Math.sin(angle))).toBeLessThan(tolerance);
        }
        if (dim % 2 === 1) expect(got[n * dim + dim - 1]).toBe(0);
      });
    });

  test("maxPeriod is the longest period", async () => {
    const engine = await testEngine();
    const y = timestepEmbedding(engine, [3], 4, 100);
    const got = await y.read();
    y.dispose();
    for (const [i, want] of [Math.cos(3), Math.cos(0.3), Math.sin(3), Math.sin(0.3)].entries())
      expect(got[i]).toBeCloseTo(want, 5);
  });

  test("a dim below 2 is refused", async () => {
    const engine = await testEngine();
    expect(() => timestepEmbedding(engine, [1], 1)).toThrow(ShapeError);
  });
});
