// Symmetric matrices on the host in float64, row by row.

/**
 * L [n, rank] with A = L Lᵀ for a positive semidefinite A [n, n], by Cholesky's method with the largest remaining diagonal
 * entry next. It ends where what remains is rounding, so a covariance of few vectors gives few columns (Higham 2002, 10.3).
 */
export function semidefiniteRoot(a: Float64Array, n: number): { root: Float64Array; rank: number } {
  const left = Float64Array.from({ length: n }, (_, i) => a[i * n + i]!);
  const tolerance = n * Number.EPSILON * Math.max(0, ...left);
  const columns: Float64Array[] = [];
  while (columns.length < n) {
    let pivot = 0;
    for (let i = 1; i < n; i++) if (left[i]! > left[pivot]!) pivot = i;
    if (!(left[pivot]! > tolerance)) break;
    const column = a.slice(pivot * n, pivot * n + n);
    for (const before of columns) {
      const v = before[pivot]!;
      for (let i = 0; i < n; i++) column[i] = column[i]! - v * before[i]!;
    }
    const scale = 1 / Math.sqrt(left[pivot]!);
    for (let i = 0; i < n; i++) {
      column[i] = column[i]! * scale;
      left[i] = left[i]! - column[i]! ** 2;
    }
    left[pivot] = -Infinity;
    columns.push(column);
  }
  const rank = columns.length;
  const root = new Float64Array(n * rank);
  columns.forEach((column, k) => column.forEach((v, i) => (root[i * rank + k] = v)));
  return { root, rank };
}

/** Lᵀ A L [m, m] for L [n, m] and a symmetric A [n, n]. */
export function congruent(a: Float64Array, l: Float64Array, n: number, m: number): Float64Array {
  const product = times(a, l, n, n, m);
  const out = new Float64Array(m * m);
  for (let k = 0; k < n; k++) {
    for (let i = 0; i < m; i++) {
      const v = l[k * m + i]!;
      for (let j = 0; j < m; j++) out[i * m + j] = out[i * m + j]! + v * product[k * m + j]!;
    }
  }
  return out;
}

function times(a: Float64Array, b: Float64Array, n: number, inner: number, m: number): Float64Array {
  const out = new Float64Array(n * m);
  for (let i = 0; i < n; i++) {
    for (let k = 0; k < inner; k++) {
      const v = a[i * inner + k]!;
      for (let j = 0; j < m; j++) out[i * m + j] = out[i * m + j]! + v * b[k * m + j]!;
    }
  }
  return out;
}

/**
 * Eigenvalues of a symmetric A [n, n], in no order: Householder reflections to a tridiagonal matrix, then the QL method with
 * implicit shifts (Golub & Van Loan, 8.3). Absolute error of a few ε·‖A‖.
 */
export function eigenvalues(a: Float64Array, n: number): Float64Array {
  const { diagonal, off } = tridiagonal(a, n);
  for (let l = 0; l < n; l++) {
    for (let sweep = 0; ; sweep++) {
      let m = l;
      while (m < n - 1 && !isNegligible(off[m]!, diagonal[m]!, diagonal[m + 1]!)) m++;
      if (m === l) break;
      if (sweep === 60)
        throw new Error("eigenvalues: no convergence; the matrix holds values that are not finite");
      qlSweep(diagonal, off, l, m);
    }
  }
  return diagonal;
}

const isNegligible = (off: number, a: number, b: number): boolean =>
  Math.abs(off) <= Number.EPSILON * (Math.abs(a) + Math.abs(b));

/** One QL sweep over rows l to m with Wilkinson's shift. */
function qlSweep(d: Float64Array, e: Float64Array, l: number, m: number): void {
  const half = (d[l + 1]! - d[l]!) / (2 * e[l]!);
  const length = Math.hypot(half, 1);
  let g = d[m]! - d[l]! + e[l]! / (half + (half < 0 ? -length : length));
  let [s, c, p] = [1, 1, 0];
  for (let i = m - 1; i >= l; i--) {
    const [f, b] = [s * e[i]!, c * e[i]!];
    const r = Math.hypot(f, g);
    e[i + 1] = r;
    if (r === 0) {
      // The sweep met a zero on its way: the matrix has come apart here.
      d[i + 1] = d[i + 1]! - p;
      e[m] = 0;
      return;
    }
    [s, c] = [f / r, g / r];
    const shifted = d[i + 1]! - p;
    const turn = (d[i]! - shifted) * s + 2 * c * b;
    p = s * turn;
    d[i + 1] = shifted + p;
    g = c * turn - b;
  }
  d[l] = d[l]! - p;
  e[l] = g;
  e[m] = 0;
}

/** Diagonal [n] and off-diagonal [n], its last 0, of QᵀAQ. Works on the lower right corner that gets smaller by one each time. */
function tridiagonal(symmetric: Float64Array, n: number): { diagonal: Float64Array; off: Float64Array } {
  const a = symmetric.slice();
  const [diagonal, off] = [new Float64Array(n), new Float64Array(n)];
  const [v, w] = [new Float64Array(n), new Float64Array(n)];
  for (let k = 0; k < n; k++) {
    diagonal[k] = a[k * n + k]!;
    if (k === n - 1) break;
    // The reflection H = 1 − v vᵀ/h sends what is under the diagonal to (±norm, 0, …).
    let square = 0;
    for (let i = k + 1; i < n; i++) {
      v[i] = a[k * n + i]!;
      square += v[i]! ** 2;
    }
    const first = v[k + 1]!;
    const alpha = first > 0 ? -Math.sqrt(square) : Math.sqrt(square);
    off[k] = alpha;
    const h = square - first * alpha;
    if (h === 0) continue;
    v[k + 1] = first - alpha;
    // B −= v qᵀ + q vᵀ with q = (B v − (vᵀB v / 2h) v) / h.
    let inner = 0;
    for (let i = k + 1; i < n; i++) {
      let sum = 0;
      for (let j = k + 1; j < n; j++) sum += a[i * n + j]! * v[j]!;
      w[i] = sum / h;
      inner += sum * v[i]!;
    }
    const half = inner / (2 * h * h);
    for (let i = k + 1; i < n; i++) w[i] = w[i]! - half * v[i]!;
    for (let i = k + 1; i < n; i++) {
      const [vi, wi] = [v[i]!, w[i]!];
      for (let j = k + 1; j < n; j++) a[i * n + j] = a[i * n + j]! - vi * w[j]! - wi * v[j]!;
    }
  }
  return { diagonal, off };
}
