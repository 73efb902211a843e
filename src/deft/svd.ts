import { UserError } from "./errors.ts";

/** A = U diag(S) Vᵀ of a matrix of m rows and n >= m columns, all row by row; V is complete, with a basis of the null space. */
export interface MatrixSvd {
  readonly rows: number;
  readonly columns: number;
  /** m × m. */
  readonly u: Float64Array;
  /** m values, falling. */
  readonly s: Float64Array;
  /** n × n. */
  readonly v: Float64Array;
}

const MAX_SWEEPS = 60;

/**
 * Singular value decomposition of a small matrix in float64 on the host: one-sided Jacobi rotations of the rows (Hestenes
 * 1958), m <= n. The largest entry of each column of U is positive.
 */
export function svd(matrix: Float64Array, rows: number, columns: number): MatrixSvd {
  if (rows > columns || matrix.length !== rows * columns)
    throw new UserError(
      `svd: ${matrix.length} values for ${rows} rows and ${columns} columns; expected at most as many rows as columns`,
    );
  const a = split(matrix, rows, columns);
  const u = split(identity(rows), rows, rows);
  orthogonalise(a, u);
  const norms = a.map((row) => Math.sqrt(dot(row, row)));
  const order = norms.map((_, i) => i).sort((i, j) => (norms[j] as number) - (norms[i] as number));
  const s = Float64Array.from(order, (i) => norms[i] as number);
  const floor = (s[0] ?? 0) * 1e-13;
  const [left, right]: [Float64Array[], Float64Array[]] = [[], []];
  for (const [k, i] of order.entries()) {
    const [row, turned] = [a[i] as Float64Array, u[i] as Float64Array];
    const sign = turned.reduce((most, v) => (Math.abs(v) > Math.abs(most) + 1e-9 ? v : most), 0) < 0 ? -1 : 1;
    left.push(turned.map((v) => sign * v));
    if ((s[k] as number) > floor) right.push(row.map((v) => (sign * v) / (s[k] as number)));
    else s[k] = 0;
  }
  complete(right, columns);
  return { rows, columns, u: columnsOf(left), s, v: columnsOf(right) };
}

/** U diag(f(S)) V₁ᵀ with V₁ the first m columns of V; transposed: V₁ diag(f(S)) Uᵀ. Row by row. */
export function recompose(
  { rows: m, columns: n, u, s, v }: MatrixSvd,
  f: (s: number) => number,
  transposed = false,
): Float64Array {
  const out = new Float64Array(m * n);
  const scaled = s.map(f);
  for (let i = 0; i < m; i++)
    for (let j = 0; j < n; j++) {
      let sum = 0;
      for (let k = 0; k < m; k++)
        sum += (u[i * m + k] as number) * (scaled[k] as number) * (v[j * n + k] as number);
      out[transposed ? j * m + i : i * n + j] = sum;
    }
  return out;
}

/** The same decomposition with singular values below `least` set to zero. */
export const cutBelow = (d: MatrixSvd, least: number): MatrixSvd => ({
  ...d,
  s: d.s.map((v) => (v < least ? 0 : v)),
});

/** 1/s, and 0 for 0. */
export const inverse = (s: number): number => (s > 0 ? 1 / s : 0);

/** Rotates pairs of rows of `a`, and of `u` with them, until all rows of `a` are orthogonal. */
function orthogonalise(a: readonly Float64Array[], u: readonly Float64Array[]): void {
  const largest = Math.max(...a.map((row) => dot(row, row)));
  for (let sweep = 0, turned = true; turned && sweep < MAX_SWEEPS; sweep++) {
    turned = false;
    for (let i = 0; i < a.length; i++)
      for (let j = i + 1; j < a.length; j++) {
        const [p, q] = [a[i] as Float64Array, a[j] as Float64Array];
        const [pp, qq, pq] = [dot(p, p), dot(q, q), dot(p, q)];
        if (Math.abs(pq) <= 1e-15 * Math.sqrt(pp * qq) || Math.max(pp, qq) <= largest * 1e-30) continue;
        turned = true;
        const tau = (qq - pp) / (2 * pq);
        const t = (tau < 0 ? -1 : 1) / (Math.abs(tau) + Math.hypot(1, tau));
        const c = 1 / Math.hypot(1, t);
        rotate(p, q, c, c * t);
        rotate(u[i] as Float64Array, u[j] as Float64Array, c, c * t);
      }
  }
}

function rotate(p: Float64Array, q: Float64Array, c: number, s: number): void {
  for (let k = 0; k < p.length; k++) {
    const [x, y] = [p[k] as number, q[k] as number];
    p[k] = c * x - s * y;
    q[k] = s * x + c * y;
  }
}

/** Adds unit vectors, orthogonal to all others, until there are n: each from the axis that is least within the space so far. */
function complete(vectors: Float64Array[], n: number): void {
  const outside = new Float64Array(n).fill(1);
  const subtract = (v: Float64Array) => v.forEach((x, i) => ((outside[i] as number) -= x * x));
  vectors.forEach(subtract);
  while (vectors.length < n) {
    const axis = outside.indexOf(Math.max(...outside));
    const next = new Float64Array(n);
    next[axis] = 1;
    for (let pass = 0; pass < 2; pass++)
      for (const v of vectors) {
        const along = dot(next, v);
        for (let i = 0; i < n; i++) (next[i] as number) -= along * (v[i] as number);
      }
    const length = Math.sqrt(dot(next, next));
    const unit = next.map((x) => x / length);
    vectors.push(unit);
    subtract(unit);
  }
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number);
  return sum;
}

const split = (matrix: Float64Array, rows: number, columns: number): Float64Array[] =>
  Array.from({ length: rows }, (_, i) => matrix.slice(i * columns, (i + 1) * columns));

function identity(n: number): Float64Array {
  const out = new Float64Array(n * n);
  for (let i = 0; i < n; i++) out[i * (n + 1)] = 1;
  return out;
}

/** The matrix whose columns are these vectors, row by row. */
function columnsOf(vectors: readonly Float64Array[]): Float64Array {
  const n = vectors.length;
  const out = new Float64Array(n * n);
  vectors.forEach((v, k) => v.forEach((x, i) => (out[i * n + k] = x)));
  return out;
}
