import { matmul, reshape, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import { linearOperator, type ImageSize, type Operator } from "../operator.ts";
import { inverse, recompose, svd as decompose, type MatrixSvd } from "../svd.ts";

/** Weights of red, green and blue in the grey picture. */
const WEIGHTS = [0.3333, 0.3334, 0.3333];

/**
 * color: y = 0.3333 r + 0.3334 g + 0.3333 b of each pixel, [3,H,W] → [1,H,W]. Spectral form: Vᵀ of each pixel's three
 * values, [component, pixel]. `pixel` is the decomposition of the weights, whose null space has no natural basis.
 */
export function color(inShape: ImageSize, pixel = decompose(Float64Array.from(WEIGHTS), 1, 3)): Operator {
  const [h, w] = threeChannels(inShape);
  const [size, outShape] = [h * w, [1, h, w]];
  const map = (x: Tensor, matrix: ArrayLike<number>, to: number, shape: readonly number[]) => {
    const from = matrix.length / to;
    const m = x.engine.tensor(Float32Array.from(matrix), [to, from], "color weights");
    return reshape(matmul(m, reshape(x, [x.dim(0), from, size])), [x.dim(0), ...shape]);
  };
  const grey = recompose(pixel, (s) => s);
  const back = recompose(pixel, inverse);
  const sign = [pixel.u[0] as number];
  return linearOperator({
    name: "color",
    isOnto: true,
    inShape,
    outShape,
    apply: (x) => map(x, grey, 1, outShape),
    adjoint: (y) => map(y, grey, 3, inShape),
    pinv: (y) => map(y, back, 3, inShape),
    svd: {
      singularValues: new Float32Array(size).fill(pixel.s[0] as number),
      v: (coefficients) => map(coefficients, pixel.v, 3, inShape),
      vt: (x) => map(x, transpose(pixel), 3, [3 * size]),
      u: (coefficients) => map(coefficients, sign, 1, outShape),
      ut: (y) => map(y, sign, 1, [size]),
    },
  });
}

const transpose = ({ v, columns: n }: MatrixSvd): Float64Array =>
  v.map((_, i) => v[(i % n) * n + Math.floor(i / n)] as number);

export const colorKind: DegradationKind = {
  word: "color",
  title: "Colouring",
  effect: "robbed of its colours",
  outShape: (shape) => [1, ...threeChannels(shape)],
  footprint: () => pixelwise,
  gain: () => 3,
  prepare: (shape) => ({ make: () => color(shape) }),
};

/** Height and width of a color image; a UserError for another. */
function threeChannels([c, h, w]: ImageSize): readonly [number, number] {
  if (c !== 3) throw new UserError(`color: images of ${c} channels; expected 3`);
  return [h, w];
}
