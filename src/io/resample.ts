/** Pixels interleaved by row, `channels` values each, on any scale. */
export interface Pixels {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: Float32Array | Uint8Array;
}

/**
 * The square of `side` from the middle of a picture, as for the ADM networks (Dhariwal & Nichol 2021):
 * halve by box averages while the shorter side is at least twice `side`, bring the shorter side to `side`
 * by cubic convolution widened to the scale, cut from the centre.
 */
export function centreSquare(source: Pixels, side: number): Pixels {
  let image = source;
  while (Math.min(image.width, image.height) >= 2 * side) image = halve(image);
  const scale = side / Math.min(image.width, image.height);
  const width = Math.max(side, Math.round(image.width * scale));
  const height = Math.max(side, Math.round(image.height * scale));
  image = resizeCubic(image, width, height);
  return crop(image, (width - side) >> 1, (height - side) >> 1, side);
}

/** Means of 2x2 pixels; an odd last row or column is dropped. */
export function halve({ width, height, channels, data }: Pixels): Pixels {
  const w = width >> 1;
  const h = height >> 1;
  const out = new Float32Array(w * h * channels);
  const row = width * channels;
  for (let y = 0, o = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      const i = 2 * y * row + 2 * x * channels;
      for (let c = 0; c < channels; c++, o++) {
        out[o] =
          (data[i + c]! + data[i + channels + c]! + data[i + row + c]! + data[i + row + channels + c]!) / 4;
      }
    }
  }
  return { width: w, height: h, channels, data: out };
}

/** Separable cubic convolution (Keys 1981, a = -0.5); when it shrinks, the kernel widens with the scale. */
export function resizeCubic(source: Pixels, width: number, height: number): Pixels {
  const { channels } = source;
  let { data } = source;
  if (width !== source.width) {
    const taps = cubicTaps(source.width, width);
    const out = new Float32Array(width * source.height * channels);
    for (let y = 0, o = 0; y < source.height; y++) {
      for (const { start, weights } of taps) {
        const base = (y * source.width + start) * channels;
        for (let c = 0; c < channels; c++, o++) out[o] = weightedSum(data, base + c, channels, weights);
      }
    }
    data = out;
  }
  if (height !== source.height) {
    const row = width * channels;
    const out = new Float32Array(height * row);
    let o = 0;
    for (const { start, weights } of cubicTaps(source.height, height)) {
      for (let i = 0; i < row; i++, o++) out[o] = weightedSum(data, start * row + i, row, weights);
    }
    data = out;
  }
  return { width, height, channels, data };
}

function weightedSum(data: Pixels["data"], start: number, stride: number, weights: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < weights.length; k++) sum += weights[k]! * data[start + k * stride]!;
  return sum;
}

/** For each output sample: the first input sample under the kernel and the weights from there, of sum 1. */
function cubicTaps(from: number, to: number): { start: number; weights: Float64Array }[] {
  const scale = from / to;
  const stretch = Math.max(scale, 1);
  return Array.from({ length: to }, (_, i) => {
    const centre = (i + 0.5) * scale;
    const start = Math.max(0, Math.floor(centre - 2 * stretch + 0.5));
    const end = Math.min(from, Math.floor(centre + 2 * stretch + 0.5));
    const weights = new Float64Array(end - start);
    let sum = 0;
    for (let j = start; j < end; j++) sum += weights[j - start] = keys((j + 0.5 - centre) / stretch);
    for (let k = 0; k < weights.length; k++) weights[k]! /= sum;
    return { start, weights };
  });
}

function keys(distance: number): number {
  const x = Math.abs(distance);
  if (x < 1) return (1.5 * x - 2.5) * x * x + 1;
  if (x < 2) return ((-0.5 * x + 2.5) * x - 4) * x + 2;
  return 0;
}

function crop({ width, channels, data }: Pixels, left: number, top: number, side: number): Pixels {
  const out = new Float32Array(side * side * channels);
  for (let y = 0; y < side; y++) {
    const from = ((top + y) * width + left) * channels;
    out.set(data.subarray(from, from + side * channels), y * side * channels);
  }
  return { width: side, height: side, channels, data: out };
}
