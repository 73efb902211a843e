import { UserError } from "./errors.ts";
import type { ImageShape, Pixels } from "./metrics.ts";

/**
 * Bicubic enlargement by the whole factor k: [n, c, h, w] -> [n, c, k·h, k·w], any unit, summed in float64.
 * Output pixel i samples (i + 0.5)/k − 0.5 (pixel centres, align_corners = false); four taps a side, pixels
 * outside repeat the edge; not clamped. Source: Keys, Cubic convolution interpolation, 1981, with a = −0.5.
 */
export function bicubicUpsample(images: Pixels, shape: ImageShape, k: number): Float32Array {
  const [n, c, h, w] = shape;
  if (!Number.isInteger(k) || k < 1 || images.length !== n * c * h * w || images.length === 0) {
    throw new UserError(
      `bicubicUpsample: the factor must be whole and the images fill their shape; got factor ${k}, ${images.length} values of [${shape.join(", ")}]`,
    );
  }
  const phases = Array.from({ length: k }, (_, phase) => phaseTaps(phase, k));
  const wide = new Float64Array(h * w * k);
  const out = new Float32Array(n * c * h * k * w * k);
  for (let plane = 0; plane < n * c; plane++) {
    const source = images.subarray(plane * h * w, (plane + 1) * h * w);
    for (let y = 0; y < h; y++) {
      for (let x = 0; x < w * k; x++) {
        wide[y * w * k + x] = sampleLine(source, y * w, 1, w, x, k, phases);
      }
    }
    for (let y = 0; y < h * k; y++) {
      for (let x = 0; x < w * k; x++) {
        out[(plane * h * k + y) * w * k + x] = sampleLine(wide, x, w * k, h, y, k, phases);
      }
    }
  }
  return out;
}

interface PhaseTaps {
  /** First tap, relative to the low-resolution pixel that holds the output pixel. */
  first: number;
  weights: readonly number[];
}

function phaseTaps(phase: number, k: number): PhaseTaps {
  const position = (phase + 0.5) / k - 0.5;
  const left = Math.floor(position);
  const weights = [-1, 0, 1, 2].map((tap) => keysCubic(left + tap - position));
  return { first: left - 1, weights };
}

function keysCubic(distance: number): number {
  const a = -0.5;
  const d = Math.abs(distance);
  if (d < 1) return (a + 2) * d ** 3 - (a + 3) * d ** 2 + 1;
  return d < 2 ? a * d ** 3 - 5 * a * d ** 2 + 8 * a * d - 4 * a : 0;
}

/** One output pixel `i` of a line of `size` source pixels that starts at `offset` and advances by `stride`. */
function sampleLine(
  source: Pixels,
  offset: number,
  stride: number,
  size: number,
  i: number,
  k: number,
  phases: readonly PhaseTaps[],
): number {
  const { first, weights } = phases[i % k]!;
  const start = Math.floor(i / k) + first;
  let sum = 0;
  for (let tap = 0; tap < 4; tap++) {
    const index = Math.min(size - 1, Math.max(0, start + tap));
    sum += weights[tap]! * source[offset + index * stride]!;
  }
  return sum;
}
