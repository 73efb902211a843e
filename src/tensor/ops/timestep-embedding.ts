import type { Engine } from "../engine.ts";
import { ShapeError } from "../errors.ts";
import type { Tensor } from "../tensor.ts";

/**
 * Sinusoidal embedding of steps t (numbers, whole or not): f32[t.length, dim] with cos(t·f_i), then sin(t·f_i), then a zero
 * if dim is odd; f_i = maxPeriod^(-i/half). Computed on the host, in the float32 steps of the PyTorch original: angles reach
 * 1000, where WGSL's sine and cosine are too inaccurate. Vaswani et al. 2017; Dhariwal & Nichol 2021.
 */
export function timestepEmbedding(
  engine: Engine,
  t: ArrayLike<number>,
  dim: number,
  maxPeriod = 10000,
): Tensor {
  if (!Number.isInteger(dim) || dim < 2)
    throw new ShapeError(`timestepEmbedding: dim is ${dim}; expected 2 or more`);
  const half = Math.floor(dim / 2);
  const rate = Math.fround(-Math.log(maxPeriod));
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp(Math.fround(Math.fround(rate * i) / half)),
  );
  const out = new Float32Array(t.length * dim);
  for (let n = 0; n < t.length; n++)
    for (let i = 0; i < half; i++) {
      const angle = Math.fround(Math.fround(t[n] as number) * (frequencies[i] as number));
      out[n * dim + i] = Math.cos(angle);
      out[n * dim + half + i] = Math.sin(angle);
    }
  return engine.tensor(out, [t.length, dim], "timestepEmbedding");
}
