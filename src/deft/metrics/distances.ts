// Distances between two sets of pictures by their features: FID and KID.
import { Philox } from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import { rowsOf, type Features, type Moments } from "./moments.ts";
import { congruent, eigenvalues, semidefiniteRoot } from "./symmetric.ts";

/**
 * FID: ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁Σ₂)^½), from 0 on, in float64; NaN where a feature is. With Σ₁ = L Lᵀ the trace of the
 * root is the sum of the roots of the eigenvalues of LᵀΣ₂L. Heusel et al. 2017, eq. 6. Throws UserError for unequal dimensions or
 * single vectors.
 */
export function frechetDistance(a: Moments, b: Moments): number {
  const n = a.dim;
  if (b.dim !== n) throw new UserError(`fid: features of ${n} and ${b.dim} values; expected equal numbers`);
  const [sigma1, sigma2] = [a.covariance(), b.covariance()];
  let distance = 0;
  for (let i = 0; i < n; i++)
    distance += (a.mean[i]! - b.mean[i]!) ** 2 + sigma1[i * n + i]! + sigma2[i * n + i]!;
  if (!Number.isFinite(distance)) return NaN;
  const { root, rank } = semidefiniteRoot(sigma1, n);
  for (const value of eigenvalues(congruent(sigma2, root, n, rank), rank))
    distance -= 2 * Math.sqrt(Math.max(0, value));
  return Math.max(0, distance);
}

/** Row numbers of one subset of each set, of equal length. */
export type SubsetPair = readonly [ArrayLike<number>, ArrayLike<number>];

/**
 * KID: the mean over pairs of subsets of the unbiased squared MMD with the kernel (xᵀy / dim + 1)³; may be below 0. Tables show
 * it times 1000. Bińkowski et al. 2018, section 4. Throws UserError for sets that cannot be compared.
 */
export function kernelDistance(a: Features, b: Features, pairs: readonly SubsetPair[]): number {
  rowsOf("kid", a);
  rowsOf("kid", b);
  if (a.dim !== b.dim)
    throw new UserError(`kid: features of ${a.dim} and ${b.dim} values; expected equal numbers`);
  let sum = 0;
  for (const [first, second] of pairs) {
    const m = first.length;
    if (m < 2 || second.length !== m)
      throw new UserError(
        `kid: subsets of ${m} and ${second.length} pictures; expected equal numbers from 2 on`,
      );
    const within = kernelSum(a, first, a, first, true) + kernelSum(b, second, b, second, true);
    sum += within / (m * (m - 1)) - (2 * kernelSum(a, first, b, second, false)) / (m * m);
  }
  return sum / pairs.length;
}

function kernelSum(
  a: Features,
  rows: ArrayLike<number>,
  b: Features,
  columns: ArrayLike<number>,
  skipDiagonal: boolean,
): number {
  const { dim } = a;
  let sum = 0;
  for (let i = 0; i < rows.length; i++) {
    const x = rows[i]! * dim;
    for (let j = 0; j < columns.length; j++) {
      if (skipDiagonal && i === j) continue;
      const y = columns[j]! * dim;
      let dot = 0;
      for (let k = 0; k < dim; k++) dot += a.data[x + k]! * b.data[y + k]!;
      sum += (dot / dim + 1) ** 3;
    }
  }
  return sum;
}

/**
 * Random subsets without repetition, of the smaller set's size, at most `size` (1000 as in the paper), from a seed; of two whole
 * sets one pair, since their order does not matter.
 */
export function kidSubsets(
  n1: number,
  n2: number,
  { subsets = 100, size = 1000, seed = 0 }: { subsets?: number; size?: number; seed?: number } = {},
): SubsetPair[] {
  const m = Math.min(n1, n2, size);
  const count = n1 === m && n2 === m ? 1 : subsets;
  return Array.from({ length: count }, (_, k) => {
    const random = new Philox(seed, k);
    return [choose(n1, m, random), choose(n2, m, random)];
  });
}

/** The first m of 0 … n−1 shuffled (Fisher & Yates). */
function choose(n: number, m: number, random: Philox): Uint32Array {
  const all = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = 0; i < m; i++) {
    const j = i + Math.floor(random.uniform() * (n - i));
    [all[i], all[j]] = [all[j]!, all[i]!];
  }
  return all.slice(0, m);
}
