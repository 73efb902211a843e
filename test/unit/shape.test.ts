import { describe, expect, it } from "vitest";
import { sizeClass } from "../../src/gpu/pool.ts";
import { ShapeError } from "../../src/tensor/index.ts";
import {
  broadcastShape,
  normalAxes,
  sameShape,
  showShape,
  sizeOf,
  stridesOf,
} from "../../src/tensor/shape.ts";
import { broadcastStrides, collapse } from "../../src/tensor/strides.ts";

describe("sizeClass", () => {
  it("is at least 256, a multiple of 4, and never smaller than what was asked for", () => {
    for (const bytes of [0, 1, 4, 255, 256]) expect(sizeClass(bytes)).toBe(256);
    for (let bytes = 257; bytes < 70_000; bytes += 13) {
      const size = sizeClass(bytes);
      expect(size).toBeGreaterThanOrEqual(bytes);
      expect(size % 4).toBe(0);
      expect(size, String(bytes)).toBeLessThanOrEqual(1.25 * bytes);
    }
  });

  it("has four steps between powers of two, and keeps a class as it is", () => {
    const classes = new Set<number>();
    for (let bytes = 1025; bytes <= 2048; bytes++) classes.add(sizeClass(bytes));
    expect([...classes]).toEqual([1280, 1536, 1792, 2048]);
    for (const size of classes) expect(sizeClass(size)).toBe(size);
    expect(sizeClass(2 ** 30)).toBe(2 ** 30);
    expect(sizeClass(2 ** 30 + 1)).toBe(1.25 * 2 ** 30);
  });
});

describe("shapes", () => {
  it("multiply, print, compare", () => {
    expect([sizeOf([]), sizeOf([2, 3, 4]), sizeOf([2, 0])]).toEqual([1, 24, 0]);
    expect(showShape([1, 9, 64])).toBe("[1,9,64]");
    expect(sameShape([1, 2], [1, 2])).toBe(true);
    expect([sameShape([1, 2], [2, 1]), sameShape([1], [1, 1])]).toEqual([false, false]);
  });

  it("have row-major strides", () => {
    expect(stridesOf([])).toEqual([]);
    expect(stridesOf([2, 3, 4])).toEqual([12, 4, 1]);
  });

  it("broadcast as in NumPy", () => {
    expect(broadcastShape("op", [2, 1, 4], [3, 1])).toEqual([2, 3, 4]);
    expect(broadcastShape("op", [], [2, 3])).toEqual([2, 3]);
    expect(broadcastShape("op", [1], [0])).toEqual([0]);
    expect(() => broadcastShape("add", [2, 3], [2])).toThrow("add: shapes [2,3] and [2] do not broadcast");
    expect(() => broadcastShape("add", [2], [3])).toThrow(ShapeError);
  });

  it("name axes from either end", () => {
    expect(normalAxes("sum", 3, null)).toEqual([0, 1, 2]);
    expect(normalAxes("sum", 3, [-1, 0])).toEqual([0, 2]);
    expect(normalAxes("sum", 3, [])).toEqual([]);
    for (const axes of [[3], [-4], [0, -3], [0.5], [1, 1]])
      expect(() => normalAxes("sum", 3, axes), String(axes)).toThrow(ShapeError);
  });
});

describe("strides", () => {
  it("are 0 along repeated axes", () => {
    expect(broadcastStrides([3, 1], [2, 3, 4])).toEqual([0, 1, 0]);
    expect(broadcastStrides([2, 3], [2, 3])).toEqual([3, 1]);
  });

  it("join axes that every operand walks through without a jump", () => {
    const [a, b] = [stridesOf([2, 3, 4]), broadcastStrides([4], [2, 3, 4])];
    expect(collapse("op", [2, 3, 4], [a])).toEqual({ sizes: [24], strides: [[1]] });
    expect(collapse("op", [2, 3, 4], [a, b])).toEqual({
      sizes: [6, 4],
      strides: [
        [4, 1],
        [0, 1],
      ],
    });
    expect(collapse("op", [1, 5, 1], [stridesOf([1, 5, 1])])).toEqual({ sizes: [5], strides: [[1]] });
    expect(collapse("op", [1], [[1]])).toEqual({ sizes: [], strides: [[]] });
  });

  it("refuse more separate axes than a kernel takes", () => {
    const shape = [2, 2, 2, 2, 2, 2, 2];
    const strides = shape.map((_, i) => 3 ** i);
    expect(() => collapse("permute", shape, [strides])).toThrow(/^permute: .* 7 separate axes; expected 6/);
  });
});
