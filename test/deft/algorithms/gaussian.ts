// A prior that is known in closed form: x ~ N(m, diag(v)), its ε, and the posterior of a measurement in float64.
import { expect } from "vitest";
import type { Denoiser } from "../../../src/deft/denoiser.ts";
import type { Schedule } from "../../../src/deft/schedule.ts";
import { mul, sub, type Engine, type Tensor } from "../../../src/tensor/index.ts";

export interface Gaussian {
  /** [C, H, W]. */
  readonly shape: readonly [number, number, number];
  readonly mean: readonly number[];
  readonly variance: readonly number[];
}

/** ε(x_t, t) = √(1−ᾱ)(x_t − √ᾱ m)/(ᾱ v + 1−ᾱ), through ops; `calls` counts them. */
export function gaussianDenoiser(
  engine: Engine,
  schedule: Schedule,
  prior: Gaussian,
): { denoise: Denoiser; calls: number; pictures: number } {
  const counted = {
    calls: 0,
    pictures: 0,
    denoise(xt: Tensor, t: ArrayLike<number>): Tensor {
      counted.calls++;
      counted.pictures += t.length;
      // One row for each image, or one for all.
      const levels = Array.from(new Set(Array.from(t))).length === 1 ? [t[0] as number] : Array.from(t);
      const alphas = levels.map((level) => schedule.alphaBar(level));
      const rows = (f: (alpha: number, i: number) => number): Tensor =>
        engine.tensor(
          alphas.flatMap((alpha) => prior.mean.map((_, i) => f(alpha, i))),
          [alphas.length, ...prior.shape],
        );
      const scale = rows((a, i) => Math.sqrt(1 - a) / (a * (prior.variance[i] as number) + 1 - a));
      return engine.scope(() =>
        mul(
          sub(
            xt,
            rows((a, i) => Math.sqrt(a) * (prior.mean[i] as number)),
          ),
          scale,
        ),
      );
    },
  };
  return counted;
}

export interface Posterior {
  readonly mean: number[];
  readonly variance: number[];
}

/** The posterior of y = A x + σ n, A the rows of a matrix: m + V Aᵀ(A V Aᵀ + σ² I)⁻¹(y − A m), and the diagonal of its covariance. */
export function posterior(
  { mean, variance }: Gaussian,
  rows: readonly (readonly number[])[],
  y: readonly number[],
  sigma: number,
): Posterior {
  const gain = (row: readonly number[]): number[] => row.map((a, i) => a * (variance[i] as number));
  const dot = (a: readonly number[], b: readonly number[]): number =>
    a.reduce((sum, v, i) => sum + v * (b[i] as number), 0);
  const covariance = rows.map((a, i) => rows.map((b, j) => dot(gain(a), b) + (i === j ? sigma ** 2 : 0)));
  const solve = (b: readonly number[]): number[] => solved(covariance, b);
  const weights = solve(rows.map((row, k) => (y[k] as number) - dot(row, mean)));
  return {
    mean: mean.map(
      (m, i) => m + rows.reduce((sum, row, k) => sum + (gain(row)[i] as number) * (weights[k] as number), 0),
    ),
    variance: variance.map((v, i) => {
      const column = rows.map((row) => gain(row)[i] as number);
      return v - dot(column, solve(column));
    }),
  };
}

/** x of matrix·x = b by Gauss elimination with pivots. */
function solved(matrix: readonly (readonly number[])[], b: readonly number[]): number[] {
  const a = matrix.map((row, i) => [...row, b[i] as number]);
  const n = a.length;
  for (let k = 0; k < n; k++) {
    const pivot = a
      .slice(k)
      .reduce(
        (best, row, i) => (Math.abs(row[k] as number) > Math.abs(a[best]?.[k] as number) ? i + k : best),
        k,
      );
    [a[k], a[pivot]] = [a[pivot] as number[], a[k] as number[]];
    for (let i = 0; i < n; i++) {
      if (i === k) continue;
      const factor = (a[i]?.[k] as number) / (a[k]?.[k] as number);
      a[i] = (a[i] as number[]).map((v, j) => v - factor * (a[k]?.[j] as number));
    }
  }
  return a.map((row, i) => (row[n] as number) / (row[i] as number));
}

/** Mean and variance (unbiased) of each coordinate of `count` draws that follow each other. */
export function moments(draws: ArrayLike<number>, count: number): Posterior {
  const size = draws.length / count;
  const of = (f: (i: number, k: number) => number, by: number): number[] =>
    Array.from({ length: size }, (_, i) => {
      let sum = 0;
      for (let k = 0; k < count; k++) sum += f(i, k);
      return sum / by;
    });
  const mean = of((i, k) => draws[k * size + i] as number, count);
  const variance = of((i, k) => ((draws[k * size + i] as number) - (mean[i] as number)) ** 2, count - 1);
  return { mean, variance };
}

/**
 * Mean and variance of each coordinate lie within 4.5 standard errors of so many draws, and `slack` posterior standard deviations
 * more.
 */
export function expectMoments(
  got: Posterior,
  want: Posterior,
  { draws, slack = 0 }: { draws: number; slack?: number },
): void {
  want.mean.forEach((mean, i) => {
    const variance = want.variance[i] as number;
    const std = Math.sqrt(variance);
    const allowed = {
      mean: (4.5 * std) / Math.sqrt(draws) + slack * std,
      variance: 4.5 * variance * Math.sqrt(2 / (draws - 1)) + slack * std,
    };
    expect(Math.abs((got.mean[i] as number) - mean), `mean of pixel ${i}`).toBeLessThan(allowed.mean);
    expect(Math.abs((got.variance[i] as number) - variance), `variance of pixel ${i}`).toBeLessThan(
      allowed.variance,
    );
  });
}
