import { describe, expect, it } from "vitest";
import { cutBelow, inverse, recompose, svd } from "../../src/deft/svd.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";

const product = (a: ArrayLike<number>, b: ArrayLike<number>, m: number, k: number, n: number): Float64Array =>
  Float64Array.from({ length: m * n }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < k; j++) sum += a[Math.floor(i / n) * k + j]! * b[j * n + (i % n)]!;
    return sum;
  });
const transposed = (a: ArrayLike<number>, m: number, n: number): Float64Array =>
  Float64Array.from({ length: m * n }, (_, i) => a[(i % m) * n + Math.floor(i / m)]!);
const identity = (n: number): Float64Array =>
  Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0));

describe("svd", () => {
  it.each([
    [1, 1],
    [1, 16],
    [4, 4],
    [5, 9],
    [30, 40],
  ])("%i x %i: orthogonal factors, falling values, the matrix back", (m, n) => {
    const matrix = Float64Array.from(randomArray(m * n, 3));
    const d = svd(matrix, m, n);
    expect(relativeError(product(transposed(d.u, m, m), d.u, m, m, m), identity(m))).toBeLessThan(1e-13);
    expect(relativeError(product(transposed(d.v, n, n), d.v, n, n, n), identity(n))).toBeLessThan(1e-13);
    expect([...d.s]).toEqual([...d.s].sort((a, b) => b - a));
    expect(
      relativeError(
        recompose(d, (s) => s),
        matrix,
      ),
    ).toBeLessThan(1e-13);
    // A A† A = A.
    const pinv = transposed(recompose(d, inverse), m, n);
    expect(relativeError(product(product(matrix, pinv, m, n, m), matrix, m, m, n), matrix)).toBeLessThan(
      1e-10,
    );
  });

  it("a matrix of rank 2: zero values, and a whole basis all the same", () => {
    const [left, right] = [Float64Array.from(randomArray(10, 5)), Float64Array.from(randomArray(14, 6))];
    const matrix = product(left, right, 5, 2, 7);
    const d = svd(matrix, 5, 7);
    expect([...d.s].map((s) => s > 0)).toEqual([true, true, false, false, false]);
    expect(relativeError(product(transposed(d.v, 7, 7), d.v, 7, 7, 7), identity(7))).toBeLessThan(1e-13);
    expect(
      relativeError(
        recompose(d, (s) => s),
        matrix,
      ),
    ).toBeLessThan(1e-13);
  });

  it("cuts small values and refuses more rows than columns", () => {
    const d = svd(Float64Array.of(2, 0, 0, 0.01), 2, 2);
    expect([...cutBelow(d, 0.1).s]).toEqual([2, 0]);
    expect(() => svd(new Float64Array(6), 3, 2)).toThrow("expected at most as many rows as columns");
  });
});
