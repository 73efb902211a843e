import { UserError } from "./errors.ts";

/** Pixels on the CPU, row-major. */
export type Pixels = Float32Array | Float64Array;
/** Sizes of a batch of images: n, c, h, w. */
export type ImageShape = readonly [n: number, c: number, h: number, w: number];

/** Keeps log10 finite for equal images: their PSNR is 100 dB. */
const MSE_FLOOR = 1e-10;

/**
 * (x + 1) / 2: images from [-1, 1] onto [0, 1], in float64.
 * `clamp` (default true) cuts what lies outside, as saving a picture does.
 */
export function toUnitRange(images: Pixels, clamp = true): Float64Array {
  const out = new Float64Array(images.length);
  for (let i = 0; i < images.length; i++) {
    const v = (images[i]! + 1) / 2;
    out[i] = clamp ? Math.min(1, Math.max(0, v)) : v;
  }
  return out;
}

/**
 * Mean squared error of each image on the [0, 1] scale; sample and target are [n, c, h, w] in [-1, 1].
 * The target is clamped to [0, 1]; so is the sample unless `clampSample` is false.
 */
export function meanSquaredError(
  sample: Pixels,
  target: Pixels,
  shape: ImageShape,
  { clampSample = true }: { clampSample?: boolean } = {},
): Float64Array {
  checkSizes("meanSquaredError", sample, target, shape);
  return perImageError(toUnitRange(sample, clampSample), toUnitRange(target), shape[0]);
}

/**
 * PSNR of each image in dB: 10 log10(1 / (mse + 1e-10)), data range 1, on [0, 1] images converted from
 * [-1, 1] and clamped; sample and target are [n, c, h, w] in [-1, 1]. At most 100 dB.
 * `clampSample: false` leaves the sample (never the target) as it is.
 */
export function psnr(
  sample: Pixels,
  target: Pixels,
  shape: ImageShape,
  options: { clampSample?: boolean } = {},
): Float64Array {
  return meanSquaredError(sample, target, shape, options).map(decibels);
}

/**
 * Consistency of each restored image in dB: the PSNR of A x̂ against y, both given as [n, ...] arrays in the
 * units of a [-1, 1] image and compared on the [0, 1] scale. Neither is clamped, since y may carry noise and
 * A need not end in a picture; with a noisy y it therefore levels off at the noise, -20 log10(σ_y / 2).
 */
export function consistency(aXHat: Pixels, y: Pixels, n: number): Float64Array {
  if (aXHat.length !== y.length || n < 1 || y.length === 0 || y.length % n !== 0) {
    throw new UserError(
      `consistency: A x̂ and y must hold n equal measurements; got ${aXHat.length} and ${y.length} values for n = ${n}`,
    );
  }
  return perImageError(toUnitRange(aXHat, false), toUnitRange(y, false), n).map(decibels);
}

/** Mean of several samples of the same images, element by element, summed in float64. */
export function meanOf(samples: readonly Pixels[]): Float32Array {
  const first = samples[0];
  if (!first || samples.some((s) => s.length !== first.length)) {
    throw new UserError(
      `meanOf: samples must be of one size; got ${samples.map((s) => s.length).join(", ") || "none"}; expected at least one`,
    );
  }
  const out = new Float32Array(first.length);
  for (let i = 0; i < out.length; i++) {
    let sum = 0;
    for (const sample of samples) sum += sample[i]!;
    out[i] = sum / samples.length;
  }
  return out;
}

/** Standard deviation of k samples [channels, n], over k − 1, at each of n pixels: the root of its channels' mean variance. */
export function deviationOf(samples: readonly Pixels[], channels: number): Float32Array {
  const mean = meanOf(samples);
  const n = mean.length / channels;
  const squares = new Float64Array(n);
  for (const sample of samples) mean.forEach((m, i) => (squares[i % n]! += (sample[i]! - m) ** 2));
  return Float32Array.from(squares, (s) => Math.sqrt(s / (channels * (samples.length - 1))));
}

/** Arithmetic mean of the values; NaN when there are none. */
export function average(values: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Throws unless both arrays hold exactly n·c·h·w values, all sizes at least 1. */
export function checkSizes(what: string, a: Pixels, b: Pixels, shape: ImageShape): void {
  const size = shape.reduce((product, s) => product * s, 1);
  if (a.length === size && b.length === size && size > 0) return;
  throw new UserError(
    `${what}: both images must fill their shape; got ${a.length} and ${b.length} values; expected ${size} of [${shape.join(", ")}]`,
  );
}

function perImageError(a: Float64Array, b: Float64Array, n: number): Float64Array {
  const size = a.length / n;
  return Float64Array.from({ length: n }, (_, image) => {
    let sum = 0;
    for (let i = image * size; i < (image + 1) * size; i++) sum += (a[i]! - b[i]!) ** 2;
    return sum / size;
  });
}

function decibels(mse: number): number {
  return 10 * Math.log10(1 / (mse + MSE_FLOOR));
}
