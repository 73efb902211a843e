import {
  affine,
  avgPool2d,
  concat,
  matmul,
  permute,
  reshape,
  slice,
  upsampleNearest,
  type Tensor,
} from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import { linearOperator, type ImageSize, type Operator, type Spectral } from "../operator.ts";
import { svd as decompose, type MatrixSvd } from "../svd.ts";

/**
 * sr{k}: the mean of each k×k block. A [C,H,W] → [C,H/k,W/k]; Aᵀ y spreads y/k² over the block; A† y repeats y over it.
 * Both sides must be multiples of k. `block` gives the decomposition of the 1 × k² mean, whose null space has no natural basis.
 */
export function superResolution(
  k: number,
  inShape: ImageSize,
  block: () => MatrixSvd = () => blockSvd(k),
): Operator {
  if (!Number.isInteger(k) || k < 2)
    throw new UserError(`sr${k}: the factor is ${k}; expected a whole number from 2 on`);
  const outShape = reduced("sr", inShape, k);
  const apply = (x: Tensor) => avgPool2d(x, k);
  const pinv = (y: Tensor) => upsampleNearest(y, k);
  const adjoint = (y: Tensor) => affine(pinv(y), 1 / (k * k), 0);
  return linearOperator({
    name: `sr${k}`,
    isOnto: true,
    inShape,
    outShape,
    apply,
    adjoint,
    pinv,
    // What costs k⁶ operations is made where it is asked for.
    get svd() {
      return spectral(k, inShape, block());
    },
  });
}

function blockSvd(k: number): MatrixSvd {
  return decompose(new Float64Array(k * k).fill(1 / (k * k)), 1, k * k);
}

/**
 * Coefficients V_blockᵀ p of each patch p (channel, row, column; pixels row by row): first component 0 of all patches, then the
 * others patch by patch.
 */
function spectral(k: number, [c, h, w]: ImageSize, block: MatrixSvd): Spectral {
  const [rows, columns, pixels] = [h / k, w / k, k * k];
  const patches = c * rows * columns;
  const basis = (t: Tensor) => t.engine.tensor(Float32Array.from(block.v), [pixels, pixels], "block basis");
  const sign = block.u[0] as number;
  return {
    singularValues: new Float32Array(patches).fill(block.s[0] as number),
    vt(x) {
      const n = x.dim(0);
      const cut = permute(reshape(x, [n, c, rows, k, columns, k]), [0, 1, 2, 4, 3, 5]);
      const coefficients = matmul(reshape(cut, [n, patches, pixels]), basis(x));
      const first = slice(coefficients, [0, 0, 0], [n, patches, 1]);
      const others = slice(coefficients, [0, 0, 1], [n, patches, pixels]);
      return concat([reshape(first, [n, patches]), reshape(others, [n, patches * (pixels - 1)])], 1);
    },
    v(coefficients) {
      const n = coefficients.dim(0);
      const first = slice(coefficients, [0, 0], [n, patches]);
      const others = slice(coefficients, [0, patches], [n, patches * pixels]);
      const each = [reshape(first, [n, patches, 1]), reshape(others, [n, patches, pixels - 1])];
      const cut = matmul(concat(each, 2), basis(coefficients), { transposeB: true });
      const placed = permute(reshape(cut, [n, c, rows, columns, k, k]), [0, 1, 2, 4, 3, 5]);
      return reshape(placed, [n, c, h, w]);
    },
    u: (coefficients) => affine(reshape(coefficients, [coefficients.dim(0), c, rows, columns]), sign, 0),
    ut: (y) => affine(reshape(y, [y.dim(0), patches]), sign, 0),
  };
}

export const superResolutionKind: DegradationKind = {
  word: "sr",
  title: "{k}× super-resolution",
  effect: "shrunk {k} times, each {k}×{k} block to its mean",
  number: { symbol: "k", least: 2, most: 9999, meaning: "a factor k of 2 or more", example: "sr4" },
  likelihood: "sr{k}",
  outShape: (shape, k) => reduced("sr", shape, k),
  footprint: (_shape, k) => ({ ...pixelwise, scale: k, block: k }),
  gain: (_shape, k) => k * k,
  prepare: (shape, k) => {
    let known: MatrixSvd | undefined;
    const block = () => (known ??= blockSvd(k));
    return { make: () => superResolution(k, shape, block) };
  },
};

/** Shape after a reduction of both sides by k; a UserError names the factors that would do. */
export function reduced(word: string, [c, h, w]: ImageSize, k: number): ImageSize {
  if (h % k === 0 && w % k === 0) return [c, h / k, w / k];
  const fits = Array.from({ length: Math.min(h, w) - 1 }, (_, i) => i + 2).filter(
    (f) => h % f === 0 && w % f === 0,
  );
  const side = h === w ? `side ${h}` : `sides ${h}x${w}`;
  throw new UserError(
    `${word}${k} does not divide the image ${side}; expected ${fits.map((f) => word + f).join(", ")}`,
  );
}
