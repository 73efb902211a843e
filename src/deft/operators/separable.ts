// Operators of the form y = L X Rᵀ on each channel, by the decompositions of the two small matrices.
import { concat, matmul, permute, reshape, slice, type Engine, type Tensor } from "../../tensor/index.ts";
import { linearOperator, type ImageSize, type Operator, type Spectral } from "../operator.ts";
import { inverse, recompose, type MatrixSvd } from "../svd.ts";

/** The two matrices of a separable operator: of the rows (m × H) and of the columns (m' × W). */
export interface SeparableSvd {
  readonly rows: MatrixSvd;
  readonly columns: MatrixSvd;
}

/** A matrix and its pseudo-inverse, transposed so that it has the same shape; made once, since every batch has an operator of its own. */
interface Recomposed {
  readonly matrix: Float32Array<ArrayBuffer>;
  readonly pinv: Float32Array<ArrayBuffer>;
}
const known = new WeakMap<MatrixSvd, Recomposed>();
function recomposed(d: MatrixSvd): Recomposed {
  let made = known.get(d);
  if (!made) {
    made = {
      matrix: Float32Array.from(recompose(d, (s) => s)),
      pinv: Float32Array.from(recompose(d, inverse)),
    };
    known.set(d, made);
  }
  return made;
}

/** y = L X Rᵀ for every channel, [C,H,W] → [C,m,m']; L and R are recomposed from their decompositions. */
export function separable(
  engine: Engine,
  name: string,
  inShape: ImageSize,
  { rows, columns }: SeparableSvd,
): Operator {
  const upload = (d: MatrixSvd, part: keyof Recomposed): Tensor =>
    engine.tensor(recomposed(d)[part], [d.rows, d.columns], `${name} matrix`);
  const [l, r] = [upload(rows, "matrix"), upload(columns, "matrix")];
  const [lPinv, rPinv] = [upload(rows, "pinv"), upload(columns, "pinv")];
  return linearOperator({
    name,
    inShape,
    outShape: [inShape[0], rows.rows, columns.rows],
    isOnto: [rows, columns].every(({ s }) => s.every((v) => v > 0)),
    held: [l, r, lPinv, rPinv],
    apply: (x) => matmul(matmul(l, x), r, { transposeB: true }),
    adjoint: (y) => matmul(matmul(l, y, { transposeA: true }), r),
    pinv: (y) => matmul(matmul(lPinv, y, { transposeA: true }), rPinv),
    get svd() {
      return spectral(engine, inShape, rows, columns);
    },
  });
}

/**
 * Coefficients V_Lᵀ X V_R of each channel. Order: those that have a singular value (rows 0 … m−1, columns 0 … m'−1), the
 * remaining columns of these rows, the remaining rows; the channels of a coefficient stand together.
 */
function spectral(engine: Engine, [c, h, w]: ImageSize, rows: MatrixSvd, columns: MatrixSvd): Spectral {
  const [m, k] = [rows.rows, columns.rows];
  const square = (values: Float64Array, n: number) =>
    engine.tensor(Float32Array.from(values), [n, n], "singular vectors");
  /** L X R of each channel. */
  const turn = (x: Tensor, left: Tensor, right: Tensor, transposed: boolean) =>
    matmul(matmul(left, x, { transposeA: transposed }), right, { transposeB: !transposed });
  const list = (parts: readonly Tensor[], n: number) => {
    const flat = parts.map((t) => reshape(t, [n, c, -1]));
    return reshape(permute(concat(flat, 2), [0, 2, 1]), [n, -1]);
  };
  const planes = (t: Tensor, size: number) => permute(reshape(t, [t.dim(0), size, c]), [0, 2, 1]);
  const singularValues = new Float32Array(m * k * c);
  singularValues.forEach((_, i) => {
    const at = Math.floor(i / c);
    singularValues[i] = (rows.s[Math.floor(at / k)] as number) * (columns.s[at % k] as number);
  });
  return {
    singularValues,
    vt(x) {
      const n = x.dim(0);
      const t = turn(x, square(rows.v, h), square(columns.v, w), true);
      const parts = [slice(t, [0, 0, 0, 0], [n, c, m, k])];
      if (k < w) parts.push(slice(t, [0, 0, 0, k], [n, c, m, w]));
      if (m < h) parts.push(slice(t, [0, 0, m, 0], [n, c, h, w]));
      return list(parts, n);
    },
    v(coefficients) {
      const n = coefficients.dim(0);
      const t = planes(coefficients, h * w);
      const part = (from: number, height: number, width: number) =>
        reshape(slice(t, [0, 0, from], [n, c, from + height * width]), [n, c, height, width]);
      const upper = k < w ? concat([part(0, m, k), part(m * k, m, w - k)], 3) : part(0, m, k);
      const all = m < h ? concat([upper, part(m * w, h - m, w)], 2) : upper;
      return turn(all, square(rows.v, h), square(columns.v, w), false);
    },
    ut: (y) => list([turn(y, square(rows.u, m), square(columns.u, k), true)], y.dim(0)),
    u(coefficients) {
      const t = reshape(planes(coefficients, m * k), [coefficients.dim(0), c, m, k]);
      return turn(t, square(rows.u, m), square(columns.u, k), false);
    },
  };
}
