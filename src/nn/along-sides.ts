// Maps of pictures that act along the height and along the width: resizing, means of neighbours.
import { matmul, type Tensor } from "../tensor/index.ts";

/** A matrix by rows. */
export interface Rows {
  readonly data: Float32Array<ArrayBuffer>;
  readonly shape: readonly [number, number];
}

const rows = (
  out: number,
  inner: number,
  fill: (set: (column: number, weight: number) => void, row: number) => void,
): Rows => {
  const data = new Float32Array(out * inner);
  for (let r = 0; r < out; r++) fill((c, weight) => (data[r * inner + c]! += weight), r);
  return { data, shape: [out, inner] };
};

/** Mean of each element and its neighbours. */
export const neighbourMeans = (n: number): Rows =>
  rows(n, n, (set, r) => {
    const [first, last] = [Math.max(0, r - 1), Math.min(n - 1, r + 1)];
    for (let c = first; c <= last; c++) set(c, 1 / (last - first + 1));
  });

/** Bilinear, the centres of pixels on those of pixels, edges repeated, no blur before shrinking. */
export const bilinear = (n: number, out: number): Rows =>
  rows(out, n, (set, r) => {
    const at = Math.min(n - 1, Math.max(0, ((r + 0.5) * n) / out - 0.5));
    const low = Math.floor(at);
    set(low, 1 - (at - low));
    set(Math.min(n - 1, low + 1), at - low);
  });

/** L X Rᵀ of each channel of x f32[n, c, h, w]: the matrix L along the height, R along the width. */
export function alongSides(x: Tensor, height: Rows, width: Rows): Tensor {
  const matrix = ({ data, shape }: Rows) => x.engine.tensor(data, shape);
  return matmul(matmul(matrix(height), x), matrix(width), { transposeB: true });
}
