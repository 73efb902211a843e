// Continuing a picture past its edges as a product with small matrices, whose transpose is the exact adjoint.
import { matmul, type Engine, type Tensor } from "../../tensor/index.ts";

/** How a picture goes on outside: as a torus, mirrored without doubling the edge, or with its last pixel. */
export type Continuation = "circular" | "reflect" | "replicate";

const places: { readonly [mode in Continuation]: (i: number, side: number) => number } = {
  circular: (i, side) => ((i % side) + side) % side,
  reflect(i, side) {
    if (side === 1) return 0;
    const period = 2 * (side - 1);
    const k = ((i % period) + period) % period;
    return k < side ? k : period - k;
  },
  replicate: (i, side) => Math.min(side - 1, Math.max(0, i)),
};

/** The matrix [before + side + after, side] that continues one axis. */
export function continuation(
  engine: Engine,
  mode: Continuation,
  side: number,
  before: number,
  after: number,
): Tensor {
  const rows = before + side + after;
  const values = new Float32Array(rows * side);
  for (let i = 0; i < rows; i++) values[i * side + places[mode](i - before, side)] = 1;
  return engine.tensor(values, [rows, side], "continuation");
}

/** x [N,C,H,W] continued by a matrix for its rows and one for its columns. */
export const continued = (x: Tensor, rows: Tensor, columns: Tensor): Tensor =>
  matmul(matmul(rows, x), columns, { transposeB: true });

/** The transpose of `continued`. */
export const folded = (x: Tensor, rows: Tensor, columns: Tensor): Tensor =>
  matmul(matmul(rows, x, { transposeA: true }), columns);
