import { describe, expect, test } from "vitest";
import { Philox, randomNormal, randomUniform, randomWords, type Tensor } from "../../src/tensor/index.ts";
import { philox4x32 } from "../../src/tensor/philox.ts";
import { testEngine } from "../helpers/engine.ts";

const hex = (words: readonly number[]): string => words.map((w) => w.toString(16).padStart(8, "0")).join(" ");
const take = (n: number, draw: () => number): number[] => Array.from({ length: n }, draw);

async function values(
  make: (engine: Awaited<ReturnType<typeof testEngine>>) => Tensor,
): Promise<Float32Array> {
  const engine = await testEngine();
  const t = make(engine);
  const data = await t.read();
  t.dispose();
  return data;
}

test("Philox4x32-10: the published answers of Random123", () => {
  const ones = 0xffffffff;
  expect(hex(philox4x32([0, 0, 0, 0], [0, 0]))).toBe("6627e8d5 e169c58d bc57ac4c 9b00dbd8");
  expect(hex(philox4x32([ones, ones, ones, ones], [ones, ones]))).toBe("408f276d 41c83b0e a20bc7c6 6d5451fd");
  expect(hex(philox4x32([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0]))).toBe(
    "d16cfe09 94fdcceb 5001e420 24126ea1",
  );
});

describe("on the GPU", () => {
  const [seed, stream, first] = [0x1_2345_6789_abcd, 0x3_0000_0007, 5];
  for (const size of [1, 3, 4, 30, 64])
    test(`the words and uniforms of its twin, ${size} an image`, async () => {
      const engine = await testEngine();
      const words = randomWords(engine, [3, size], { seed, stream, first });
      const want = [0, 1, 2].map((n) => new Philox(seed, stream, first + n));
      expect([...(await words.readU32())]).toEqual(want.flatMap((p) => take(size, () => p.word())));
      words.dispose();
      const again = [0, 1, 2].map((n) => new Philox(seed, stream, first + n));
      const uniforms = await values((e) => randomUniform(e, [3, size], { seed, stream, first }));
      expect([...uniforms]).toEqual(again.flatMap((p) => take(size, () => p.uniform())));
    });

  test("normals of its twin within float32 rounding, tails and middle alike", async () => {
    const n = 1 << 18;
    const got = await values((e) => randomNormal(e, [1, n], { seed: 11, stream: 2 }));
    const philox = new Philox(11, 2);
    let worst = 0;
    for (const v of got) {
      const want = philox.normal();
      worst = Math.max(worst, Math.abs(v - want) / Math.max(Math.abs(want), 0.01));
    }
    expect(worst).toBeLessThan(2e-6);
  });

  test("batches of any split give the same images", async () => {
    for (const [make, size] of [
      [randomNormal, 12],
      [randomNormal, 7],
      [randomUniform, 10],
    ] as const) {
      const whole = await values((e) => make(e, [5, size], { seed: 3, stream: 4 }));
      const [a, b] = [
        await values((e) => make(e, [2, size], { seed: 3, stream: 4 })),
        await values((e) => make(e, [3, size], { seed: 3, stream: 4, first: 2 })),
      ];
      expect([...a, ...b]).toEqual([...whole]);
      const other = await values((e) => make(e, [5, size], { seed: 3, stream: 5 }));
      expect([...other]).not.toEqual([...whole]);
    }
  });

  test("normals: moments, distribution (Kolmogorov-Smirnov), tails and independence of neighbours", async () => {
    const n = 1 << 20;
    const v = await values((e) => randomNormal(e, [64, n / 64], { seed: 2024, stream: 1 }));
    const moment = (k: number): number => v.reduce((a, x) => a + x ** k, 0) / n;
    // Five standard deviations of each estimate: variance of x^k is (2k-1)!! - ((k-1)!!)^2.
    expect(Math.abs(moment(1))).toBeLessThan(5 * Math.sqrt(1 / n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan(5 * Math.sqrt(2 / n));
    expect(Math.abs(moment(3))).toBeLessThan(5 * Math.sqrt(15 / n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan(5 * Math.sqrt(96 / n));
    const beyond = (a: number): number => v.reduce((c, x) => c + Number(Math.abs(x) > a), 0);
    for (const [a, p] of [
      [3, 2.6998e-3],
      [4, 6.3342e-5],
    ] as const)
      expect(Math.abs(beyond(a) - n * p)).toBeLessThan(5 * Math.sqrt(n * p));
    const lag = (k: number): number => {
      let s = 0;
      for (let i = 0; i + k < n; i++) s += (v[i] as number) * (v[i + k] as number);
      return s / n;
    };
    for (const k of [1, 2, 4, n / 64]) expect(Math.abs(lag(k)), `lag ${k}`).toBeLessThan(5 / Math.sqrt(n));
    expect(kolmogorov(v, normalCdf)).toBeLessThan(2 / Math.sqrt(n));
  });

  test("uniforms: range, moments and distribution", async () => {
    const n = 1 << 18;
    const v = await values((e) => randomUniform(e, [n], { seed: 7, stream: 0 }));
    const m = v.reduce((a, x) => a + x, 0) / n;
    expect(v.every((x) => x >= 0 && x < 1)).toBe(true);
    expect(Math.abs(m - 0.5)).toBeLessThan(5 / Math.sqrt(12 * n));
    expect(kolmogorov(v, (x) => x)).toBeLessThan(2 / Math.sqrt(n));
  });
});

/** Largest distance of the empirical distribution from `cdf`; above 2/√n with probability 0.0007. */
function kolmogorov(v: Float32Array, cdf: (x: number) => number): number {
  const sorted = v.slice().sort();
  let d = 0;
  sorted.forEach((x, i) => {
    const f = cdf(x);
    d = Math.max(d, Math.abs(f - i / v.length), Math.abs(f - (i + 1) / v.length));
  });
  return d;
}

/** Abramowitz & Stegun 26.2.17, error below 7.5e-8. */
function normalCdf(x: number): number {
  const t = 1 / (1 + 0.2316419 * Math.abs(x));
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  const tail = (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI)) * series;
  return x >= 0 ? 1 - tail : tail;
}

describe("on the host", () => {
  test("below(n) is in range and even", () => {
    const philox = new Philox(5, 6);
    const counts = new Uint32Array(7);
    for (let i = 0; i < 70_000; i++) counts[philox.below(7)]!++;
    for (const c of counts) expect(Math.abs(c - 10_000)).toBeLessThan(5 * Math.sqrt(10_000));
  });
  test("permutation(n) holds each number once and differs by seed", () => {
    const a = new Philox(1, 0).permutation(100);
    expect([...a].sort((x, y) => x - y)).toEqual(
      take(
        100,
        (
          (i) => () =>
            i++
        )(0),
      ),
    );
    expect([...new Philox(2, 0).permutation(100)]).not.toEqual([...a]);
  });
});
