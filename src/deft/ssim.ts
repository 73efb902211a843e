import { UserError } from "./errors.ts";
import { checkSizes, toUnitRange } from "./metrics.ts";
import type { ImageShape, Pixels } from "./metrics.ts";

/** Options of the SSIM; the defaults are those of Wang et al. 2004. */
export interface SsimOptions {
  /** Largest minus smallest value an image may take; null: the larger of what the two batches span. */
  dataRange?: number | null;
  /** Side of the Gaussian window, odd. */
  kernel?: number;
  sigma?: number;
  k1?: number;
  k2?: number;
}

/** SSIM of each image, over all of it and without the border that the padding reaches. */
export interface SsimResult {
  full: Float64Array;
  cropped: Float64Array;
  dataRange: number;
}

/**
 * SSIM of each image of two batches in [-1, 1], taken on [0, 1] (clamped) with data range 1: mean over the
 * whole reflect-padded image and its channels, Gaussian 11×11, σ 1.5, as torchmetrics 1.5.1.
 */
export function ssim(sample: Pixels, target: Pixels, shape: ImageShape): Float64Array {
  return structuralSimilarity(toUnitRange(sample), toUnitRange(target), shape, { dataRange: 1 }).full;
}

/**
 * SSIM = (2μₐμ_b + C1)(2σ_ab + C2) / ((μₐ² + μ_b² + C1)(σₐ² + σ_b² + C2)), C = (k·range)², local moments under a
 * Gaussian window; a, b are [n, c, h, w] in any unit, values are used as they stand. In float64.
 * `full` averages over the whole reflect-padded image (torchmetrics from 1.5.0 on), `cropped` leaves out
 * kernel/2 pixels at each side (before it). Source: Wang et al., Image quality assessment, 2004.
 */
export function structuralSimilarity(
  a: Pixels,
  b: Pixels,
  shape: ImageShape,
  { dataRange = null, kernel = 11, sigma = 1.5, k1 = 0.01, k2 = 0.03 }: SsimOptions = {},
): SsimResult {
  checkSizes("ssim", a, b, shape);
  const [n, c, h, w] = shape;
  const pad = (kernel - 1) / 2;
  if (!Number.isInteger(pad) || pad < 0 || pad >= Math.min(h, w)) {
    throw new UserError(
      `ssim: the window must be odd and fit a reflect-padded image; got ${kernel} for ${h}×${w}; expected at most ${2 * Math.min(h, w) - 1}`,
    );
  }
  const range = dataRange ?? Math.max(span(a), span(b));
  const c1 = (k1 * range) ** 2;
  const c2 = (k2 * range) ** 2;
  const taps = gaussianTaps(kernel, sigma);
  const full = new Float64Array(n);
  const cropped = new Float64Array(n);
  const innerSize = Math.max(0, h - 2 * pad) * Math.max(0, w - 2 * pad);
  for (let image = 0; image < n; image++) {
    let sum = 0;
    let innerSum = 0;
    for (let channel = 0; channel < c; channel++) {
      const offset = (image * c + channel) * h * w;
      const pa = a.subarray(offset, offset + h * w);
      const pb = b.subarray(offset, offset + h * w);
      const blur = (value: (i: number) => number) => blurPlane(value, h, w, taps);
      const meanA = blur((i) => pa[i]!);
      const meanB = blur((i) => pb[i]!);
      const squareA = blur((i) => pa[i]! ** 2);
      const squareB = blur((i) => pb[i]! ** 2);
      const product = blur((i) => pa[i]! * pb[i]!);
      for (let i = 0; i < h * w; i++) {
        const ma = meanA[i]!;
        const mb = meanB[i]!;
        const varA = Math.max(0, squareA[i]! - ma * ma);
        const varB = Math.max(0, squareB[i]! - mb * mb);
        const covariance = product[i]! - ma * mb;
        const value =
          ((2 * ma * mb + c1) * (2 * covariance + c2)) / ((ma * ma + mb * mb + c1) * (varA + varB + c2));
        sum += value;
        const row = Math.floor(i / w);
        const column = i % w;
        if (row >= pad && row < h - pad && column >= pad && column < w - pad) innerSum += value;
      }
    }
    full[image] = sum / (c * h * w);
    cropped[image] = innerSum / (c * innerSize);
  }
  return { full, cropped, dataRange: range };
}

function span(values: Pixels): number {
  let low = Infinity;
  let high = -Infinity;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return high - low;
}

function gaussianTaps(kernel: number, sigma: number): Float64Array {
  const taps = Float64Array.from({ length: kernel }, (_, i) =>
    Math.exp(-(((i - (kernel - 1) / 2) / sigma) ** 2) / 2),
  );
  const sum = taps.reduce((total, tap) => total + tap, 0);
  return taps.map((tap) => tap / sum);
}

/** Separable blur of one plane, read through `value`, reflect-padded without repeating the edge. */
function blurPlane(value: (i: number) => number, h: number, w: number, taps: Float64Array): Float64Array {
  const pad = (taps.length - 1) / 2;
  const rows = new Float64Array(h * w);
  const out = new Float64Array(h * w);
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k]! * value(y * w + reflect(x + k - pad, w));
      rows[y * w + x] = sum;
    }
  }
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      let sum = 0;
      for (let k = 0; k < taps.length; k++) sum += taps[k]! * rows[reflect(y + k - pad, h) * w + x]!;
      out[y * w + x] = sum;
    }
  }
  return out;
}

/** Index i of a line of `size` pixels, mirrored at the first and the last one; valid for pads under size. */
function reflect(i: number, size: number): number {
  if (i < 0) return -i;
  return i < size ? i : 2 * size - 2 - i;
}
