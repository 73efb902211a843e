import { describe, expect, test } from "vitest";
import { compareCosts, fastest, median, summarise } from "../../bench/compare.mjs";

describe("median and spread", () => {
  test("of odd and even numbers of runs, in any order", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([7])).toBe(7);
  });
  test("the spread is the range over the median", () => {
    expect(summarise([11, 9, 10])).toEqual({ median: 10, spread: 0.2 });
    expect(summarise([5, 5])).toEqual({ median: 5, spread: 0 });
  });
});

describe("a run beside the baseline", () => {
  const verdict = (before: number[], now: number[]) => compareCosts({ conv: before }, { conv: now })[0];

  test("a rise past the spread of either is worse, one within is not", () => {
    expect(verdict([9.9, 10, 10.1], [10.4, 10.5, 10.6])).toMatchObject({
      worse: true,
      before: 10,
      after: 10.5,
    });
    expect(verdict([9.5, 10, 10.5], [10.4, 10.5, 10.6])?.worse).toBe(false);
    expect(verdict([9.9, 10, 10.1], [9.5, 10.5, 11])?.worse).toBe(false);
  });
  test("a fall is never worse", () => {
    expect(verdict([10, 10, 10], [2, 2, 2])).toMatchObject({ worse: false, change: -0.8, allowed: 0 });
  });
  test("runs without any spread: every rise counts", () => {
    expect(verdict([10, 10], [10.001, 10.001])?.worse).toBe(true);
    expect(verdict([10, 10], [10, 10])?.worse).toBe(false);
  });
  test("each case is judged by itself; the baseline's others are left out", () => {
    const found = compareCosts({ a: [1, 1], b: [1, 1], c: [1, 1] }, { a: [2, 2], b: [1, 1] });
    expect(found.map(({ name, worse }) => [name, worse])).toEqual([
      ["a", true],
      ["b", false],
    ]);
  });
  test("a case that the baseline lacks is named and not judged", () => {
    expect(compareCosts({}, { conv: [3] })).toEqual([
      { name: "conv", before: null, after: 3, change: 0, allowed: 0, worse: false },
    ]);
  });
  test("one run gives no spread and is refused", () => {
    expect(() => verdict([10], [10, 11])).toThrow(/conv: 1 run; expected two or more/);
    expect(() => verdict([10, 11], [10])).toThrow(/conv: 1 run/);
  });
});

describe("the fastest variant", () => {
  test("is another than the usual one if it wins by more than the spread of either", () => {
    expect(fastest("a", { a: [10, 10.1, 9.9], b: [9, 9.1, 8.9], c: [9.5, 9.5, 9.5] })).toBe("b");
    expect(fastest("a", { a: [10, 10.1, 9.9], b: [9, 9.6, 8.4] })).toBe(null);
    expect(fastest("a", { a: [10, 11, 9], b: [9, 9.1, 8.9] })).toBe(null);
  });
  test("is the usual one if that is the fastest or as fast", () => {
    expect(fastest("a", { a: [8, 8.1], b: [9, 9.1] })).toBe(null);
    expect(fastest("a", { a: [8, 8], b: [8, 8] })).toBe(null);
  });
});
