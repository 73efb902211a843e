import { describe, expect, it } from "vitest";
import { inceptionScore, topOne } from "../../src/deft/metrics/classifier.ts";
import { frechetDistance, kernelDistance, kidSubsets } from "../../src/deft/metrics/distances.ts";
import { Moments, type Features } from "../../src/deft/metrics/moments.ts";
import { congruent, eigenvalues, semidefiniteRoot } from "../../src/deft/metrics/symmetric.ts";
import { Philox } from "../../src/tensor/philox.ts";

const random = new Philox(5, 0);
const normals = (n: number): Float64Array => Float64Array.from({ length: n }, () => random.normal());

function features(n: number, dim: number, mix = normals(dim * dim)): Features {
  const raw = normals(n * dim);
  const at = (i: number, j: number): number =>
    raw.subarray(i * dim, (i + 1) * dim).reduce((sum, v, k) => sum + v * mix[k * dim + j]!, j / dim);
  return { data: Float64Array.from({ length: n * dim }, (_, k) => at(Math.floor(k / dim), k % dim)), dim };
}

const moments = (f: Features): Moments => {
  const m = new Moments(f.dim);
  m.add(f);
  return m;
};

type Matrix = number[][];
const product = (a: Matrix, b: Matrix): Matrix =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, v, k) => sum + v * b[k]![j]!, 0)));

/** Gauss-Jordan with pivots. */
function inverse(a: Matrix): Matrix {
  const n = a.length;
  const rows = a.map((row, i) => [...row, ...row.map((_, j) => (i === j ? 1 : 0))]);
  for (let k = 0; k < n; k++) {
    const best = rows.slice(k).reduce((b, r, i) => (Math.abs(r[k]!) > Math.abs(rows[b]![k]!) ? i + k : b), k);
    [rows[k], rows[best]] = [rows[best]!, rows[k]!];
    const pivot = rows[k]![k]!;
    rows[k] = rows[k]!.map((v) => v / pivot);
    for (let i = 0; i < n; i++) {
      const f = rows[i]![k]!;
      if (i !== k) rows[i] = rows[i]!.map((v, j) => v - f * rows[k]![j]!);
    }
  }
  return rows.map((row) => row.slice(n));
}

/** Trace of the root of a matrix by the iteration of Denman and Beavers. */
function traceOfRoot(a: Matrix): number {
  let [y, z]: [Matrix, Matrix] = [a, a.map((row, i) => row.map((_, j) => (i === j ? 1 : 0)))];
  for (let step = 0; step < 60; step++) {
    const [yi, zi] = [inverse(y), inverse(z)];
    [y, z] = [
      y.map((r, i) => r.map((v, j) => (v + zi[i]![j]!) / 2)),
      z.map((r, i) => r.map((v, j) => (v + yi[i]![j]!) / 2)),
    ];
  }
  return y.reduce((sum, row, i) => sum + row[i]!, 0);
}

function plainMoments({ data, dim }: Features): { mean: number[]; sigma: Matrix } {
  const n = data.length / dim;
  const at = (i: number, j: number): number => data[i * dim + j]!;
  const rows = Array.from({ length: n }, (_, i) => i);
  const mean = Array.from({ length: dim }, (_, j) => rows.reduce((sum, i) => sum + at(i, j), 0) / n);
  const cov = (j: number, k: number): number =>
    rows.reduce((sum, i) => sum + (at(i, j) - mean[j]!) * (at(i, k) - mean[k]!), 0) / (n - 1);
  return { mean, sigma: mean.map((_, j) => mean.map((_, k) => cov(j, k))) };
}

describe("symmetric matrices", () => {
  it.each([1, 2, 3, 17, 60])("eigenvalues of a known spectrum, n = %i", (n) => {
    const spectrum = Float64Array.from({ length: n }, (_, i) => (i % 5 === 0 ? 0 : (i - n / 3) * 1.5));
    let a: Matrix = Array.from(spectrum, (v, i) => Array.from(spectrum, (_, j) => (i === j ? v : 0)));
    for (let turn = 0; turn < 3; turn++) {
      const v = normals(n);
      const square = v.reduce((s, x) => s + x * x, 0);
      const h = Array.from(v, (x, i) => Array.from(v, (y, j) => (i === j ? 1 : 0) - (2 * x * y) / square));
      a = product(product(h, a), h);
    }
    const found = eigenvalues(Float64Array.from(a.flat()), n).sort();
    spectrum.sort().forEach((v, i) => expect(Math.abs(found[i]! - v)).toBeLessThan(1e-13 * n * n));
  });

  it("eigenvalues of matrices that are apart already", () => {
    expect([...eigenvalues(Float64Array.of(2, 0, 0, 0, 3, 0, 0, 0, 1), 3)].sort()).toEqual([1, 2, 3]);
    expect([...eigenvalues(new Float64Array(16), 4)]).toEqual([0, 0, 0, 0]);
    expect(() => eigenvalues(new Float64Array(9).fill(NaN), 3)).toThrow("not finite");
  });

  it("the root of a semidefinite matrix has its rank", () => {
    const b = normals(8 * 3);
    const a = Float64Array.from({ length: 64 }, (_, k) => {
      const [i, j] = [Math.floor(k / 8), k % 8];
      return [0, 1, 2].reduce((sum, c) => sum + b[i * 3 + c]! * b[j * 3 + c]!, 0);
    });
    const { root, rank } = semidefiniteRoot(a, 8);
    expect(rank).toBe(3);
    a.forEach((v, k) => {
      const [i, j] = [Math.floor(k / 8), k % 8];
      const back = [0, 1, 2].reduce((sum, c) => sum + root[i * 3 + c]! * root[j * 3 + c]!, 0);
      expect(Math.abs(back - v)).toBeLessThan(1e-13);
    });
    const identity = Float64Array.from({ length: 64 }, (_, k) => (k % 9 === 0 ? 1 : 0));
    congruent(identity, b, 8, 3).forEach((v, k) => {
      const [i, j] = [Math.floor(k / 3), k % 3];
      const want = Array.from({ length: 8 }, (_, r) => b[r * 3 + i]! * b[r * 3 + j]!).reduce(
        (x, y) => x + y,
        0,
      );
      expect(Math.abs(v - want)).toBeLessThan(1e-13);
    });
  });
});

describe("moments", () => {
  it("do not depend on how the vectors are cut into batches, and do not cancel", () => {
    const raw = features(37, 5);
    const far = { data: raw.data.map((v) => v + 1e6), dim: 5 };
    const streamed = new Moments(5);
    for (let i = 0; i < 37; i += 8) streamed.add({ data: far.data.subarray(i * 5, (i + 8) * 5), dim: 5 });
    const { sigma } = plainMoments(raw);
    streamed.covariance().forEach((v, k) => expect(Math.abs(v - sigma.flat()[k]!)).toBeLessThan(1e-7));
    expect(streamed.count).toBe(37);
  });

  it("refuses what it cannot measure", () => {
    expect(() => moments({ data: new Float64Array(4), dim: 4 }).covariance()).toThrow(
      "1 vectors; expected 2",
    );
    expect(() => new Moments(3).add({ data: new Float64Array(4), dim: 3 })).toThrow("multiple of 3");
    expect(() => new Moments(3).add({ data: new Float64Array(4), dim: 4 })).toThrow("expected 3");
  });
});

describe("FID", () => {
  it.each([
    [2, 30, 20],
    [12, 60, 45],
  ])("dim %i against the iteration of Denman and Beavers", (dim, n1, n2) => {
    const [a, b] = [features(n1, dim), features(n2, dim)];
    const [p, q] = [plainMoments(a), plainMoments(b)];
    const trace = (m: Matrix): number => m.reduce((sum, row, i) => sum + row[i]!, 0);
    const shift = p.mean.reduce((sum, v, i) => sum + (v - q.mean[i]!) ** 2, 0);
    const want = shift + trace(p.sigma) + trace(q.sigma) - 2 * traceOfRoot(product(p.sigma, q.sigma));
    const found = frechetDistance(moments(a), moments(b));
    expect(Math.abs(found - want)).toBeLessThan(1e-8 * want);
    expect(Math.abs(frechetDistance(moments(b), moments(a)) - want)).toBeLessThan(1e-8 * want);
  });

  it("fewer vectors than dimensions: 0 to itself, the sum of the traces for sets that share no direction", () => {
    const a = features(6, 40);
    const m = moments(a);
    const size = m.covariance().reduce((sum, v, k) => (k % 41 === 0 ? sum + v : sum), 0);
    expect(frechetDistance(m, m)).toBeLessThan(1e-6 * size);
    const half = (from: number): Features => {
      const raw = normals(6 * 40).map((v, k) => (k % 40 < 20 === (from === 0) ? v : 0));
      return { data: raw, dim: 40 };
    };
    const [p, q] = [half(0), half(1)].map((f) => ({ f, ...plainMoments(f) }));
    const want =
      [p!, q!].reduce((sum, { sigma }) => sum + sigma.reduce((s, row, i) => s + row[i]!, 0), 0) +
      p!.mean.reduce((sum, v, i) => sum + (v - q!.mean[i]!) ** 2, 0);
    expect(Math.abs(frechetDistance(moments(p!.f), moments(q!.f)) - want)).toBeLessThan(1e-6 * want);
    expect(() => frechetDistance(m, moments(features(4, 3)))).toThrow("40 and 3");
  });
});

describe("features that are no number", () => {
  it("make FID and KID none, and throw nothing", () => {
    const [a, b] = [features(9, 4), features(9, 4)];
    b.data[5] = NaN;
    expect(frechetDistance(moments(a), moments(b))).toBeNaN();
    expect(frechetDistance(moments(b), moments(a))).toBeNaN();
    expect(kernelDistance(a, b, kidSubsets(9, 9))).toBeNaN();
  });
});

describe("KID", () => {
  it("is the unbiased MMD of the cubic kernel", () => {
    const [a, b] = [features(9, 4), features(7, 4)];
    const pairs = kidSubsets(9, 7, { subsets: 3, seed: 2 });
    const row = (f: Features, i: number) => Array.from(f.data.subarray(i * 4, i * 4 + 4));
    const kernel = (x: number[], y: number[]) => (x.reduce((s, v, i) => s + v * y[i]!, 0) / 4 + 1) ** 3;
    const mmd = pairs.map(([p, q]) => {
      const [x, y] = [Array.from(p, (i) => row(a, i)), Array.from(q, (i) => row(b, i))];
      const m = x.length;
      let sum = 0;
      for (let i = 0; i < m; i++)
        for (let j = 0; j < m; j++) {
          if (i !== j) sum += (kernel(x[i]!, x[j]!) + kernel(y[i]!, y[j]!)) / (m * (m - 1));
          sum -= (2 * kernel(x[i]!, y[j]!)) / m ** 2;
        }
      return sum;
    });
    const want = mmd.reduce((x, y) => x + y, 0) / 3;
    expect(Math.abs(kernelDistance(a, b, pairs) - want)).toBeLessThan(1e-12 * Math.abs(want));
    expect(() => kernelDistance(a, features(3, 5), pairs)).toThrow("4 and 5");
    expect(() => kernelDistance(a, b, [[[0], [0]]])).toThrow("from 2 on");
  });

  it("subsets have no repetition, follow from the seed, and are of the smaller set's size", () => {
    const pairs = kidSubsets(50, 20, { subsets: 4, seed: 1 });
    for (const [p, q] of pairs) {
      expect([new Set(Array.from(p)).size, new Set(Array.from(q)).size]).toEqual([20, 20]);
      expect(Math.max(...Array.from(p)) < 50 && Math.max(...Array.from(q)) < 20).toBe(true);
    }
    expect(kidSubsets(50, 20, { subsets: 4, seed: 1 })).toEqual(pairs);
    expect(kidSubsets(50, 20, { subsets: 1, seed: 2 })[0]).not.toEqual(pairs[0]);
    expect(kidSubsets(5000, 3000, { subsets: 1 })[0]![0].length).toBe(1000);
    expect(kidSubsets(5000, 3000)).toHaveLength(100);
  });

  it("of two whole sets there is one pair, since their order does not matter", () => {
    const [a, b] = [features(12, 3), features(12, 3)];
    const pairs = kidSubsets(12, 12);
    expect(pairs.map(([p, q]) => [p.length, q.length])).toEqual([[12, 12]]);
    const inOrder = Array.from({ length: 12 }, (_, i) => i);
    expect(kernelDistance(a, b, pairs)).toBeCloseTo(kernelDistance(a, b, [[inOrder, inOrder]]), 12);
    expect(kidSubsets(12, 13)).toHaveLength(100);
  });
});

describe("classifiers", () => {
  it("Inception score: 1 for one answer to all, the number of classes for sure and even answers", () => {
    expect(inceptionScore({ data: new Float64Array(12), dim: 4 })[0]).toBeCloseTo(1, 12);
    const sure = Float64Array.from({ length: 16 }, (_, k) => (k % 5 === 0 ? 200 : -500));
    expect(inceptionScore({ data: sure, dim: 4 })[0]).toBeCloseTo(4, 10);
  });

  it("Inception score of random logits, in splits, against its definition", () => {
    const data = normals(10 * 3);
    const found = inceptionScore({ data, dim: 3 }, 2);
    [0, 1].forEach((s) => {
      const p = [0, 1, 2, 3, 4].map((i) => {
        const e = [0, 1, 2].map((k) => Math.exp(data[(s * 5 + i) * 3 + k]!));
        return e.map((v) => v / (e[0]! + e[1]! + e[2]!));
      });
      const q = [0, 1, 2].map((k) => p.reduce((sum, row) => sum + row[k]! / 5, 0));
      const kl = p.reduce((sum, row) => sum + row.reduce((t, v, k) => t + v * Math.log(v / q[k]!), 0) / 5, 0);
      expect(found[s]).toBeCloseTo(Math.exp(kl), 12);
    });
    expect(() => inceptionScore({ data, dim: 3 }, 11)).toThrow("10 pictures in 11 splits");
  });

  it("top-1 counts the largest logits", () => {
    const data = Float32Array.of(1, 2, 3, 9, 2, 3, -1, 0, -2);
    expect(topOne({ data, dim: 3 }, [2, 0, 0])).toBeCloseTo(2 / 3, 12);
    expect(() => topOne({ data, dim: 3 }, [1])).toThrow("1 labels for 3");
  });
});
