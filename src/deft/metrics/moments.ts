import { UserError } from "../errors.ts";

/** Feature vectors of n pictures, row by row: [n, dim]. */
export interface Features {
  readonly data: Float32Array | Float64Array;
  readonly dim: number;
}

/** Number of rows. Throws UserError where the data are no whole rows. */
export function rowsOf(what: string, { data, dim }: Features): number {
  const n = data.length / dim;
  if (Number.isInteger(n) && dim > 0) return n;
  throw new UserError(
    `${what}: features must be whole rows; got ${data.length} values; expected a multiple of ${dim}`,
  );
}

/**
 * Mean μ [dim] and covariance Σ [dim, dim] (divided by n − 1) of feature vectors that come in batches of any size, in float64.
 * Batches are joined by their own means and scatters, so that no large sums cancel (Chan, Golub & LeVeque 1983).
 */
export class Moments {
  readonly dim: number;
  readonly mean: Float64Array;
  readonly #scatter: Float64Array;
  #count = 0;

  constructor(dim: number) {
    this.dim = dim;
    this.mean = new Float64Array(dim);
    this.#scatter = new Float64Array(dim * dim);
  }

  /** Vectors seen. */
  get count(): number {
    return this.#count;
  }

  add(features: Features): void {
    const { dim, mean } = this;
    const n = rowsOf("moments", features);
    if (features.dim !== dim)
      throw new UserError(`moments: vectors of ${features.dim} values; expected ${dim}, as those before`);
    if (n === 0) return;
    const own = meanOfRows(features, n);
    const centred = Float64Array.from(features.data, (v, i) => v - own[i % dim]!);
    addOuter(this.#scatter, centred, dim, 1);
    const total = this.#count + n;
    const shift = own.map((v, i) => v - mean[i]!);
    addOuter(this.#scatter, shift, dim, (this.#count * n) / total);
    shift.forEach((v, i) => (mean[i] = mean[i]! + (v * n) / total));
    this.#count = total;
  }

  /** Σ, row by row. Throws UserError with fewer than two vectors. */
  covariance(): Float64Array {
    const n = this.#count;
    if (n < 2) throw new UserError(`covariance: ${n} vectors; expected 2 or more; measure more pictures`);
    return this.#scatter.map((v) => v / (n - 1));
  }
}

function meanOfRows({ data, dim }: Features, n: number): Float64Array {
  const sum = new Float64Array(dim);
  for (let i = 0; i < data.length; i++) sum[i % dim] = sum[i % dim]! + data[i]!;
  return sum.map((v) => v / n);
}

/** matrix += scale · Σ v vᵀ over the rows v. */
function addOuter(matrix: Float64Array, rows: Float64Array, dim: number, scale: number): void {
  for (let row = 0; row < rows.length; row += dim) {
    for (let i = 0; i < dim; i++) {
      const v = scale * rows[row + i]!;
      if (v === 0) continue;
      for (let j = 0; j < dim; j++) matrix[i * dim + j] = matrix[i * dim + j]! + v * rows[row + j]!;
    }
  }
}
