// Convolution: forward, input, weight and bias gradients. Transposed convolution is the input gradient with a bias.
import type { Device } from "../gpu/device.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Sizes of one convolution x[n,c,h,w] * w[o,c,kh,kw] -> [n,o,oh,ow]. */
export interface ConvShape {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly o: number;
  readonly kh: number;
  readonly kw: number;
  readonly oh: number;
  readonly ow: number;
  readonly stride: number;
  readonly padY: number;
  readonly padX: number;
}

interface Params {
  n: number;
  c: number;
  h: number;
  w: number;
  o: number;
  oh: number;
  ow: number;
  slices: number;
}

const tiles = (n: number): number => Math.ceil(n / 64);
/** Workgroups over pixels and channels; pixels fold into z past 65535. */
const spread = (pixels: number, channels: number): number[] => {
  const x = Math.min(tiles(pixels), 65535);
  return [x, tiles(channels), Math.ceil(tiles(pixels) / x)];
};
const taps = (v: Readonly<Record<string, number | string>>): number => Number(v["KH"]) * Number(v["KW"]);

const forward = defineKernel(wgsl.conv2d, "forward", {
  grid: (p: Params) => spread(p.n * p.oh * p.ow, p.o),
});
const inputGradient = defineKernel(wgsl.conv2d, "inputGradient", {
  grid: (p: Params) => spread(p.n * p.h * p.w, p.c),
});
const weightGradient = defineKernel(wgsl.conv2d, "weightGradient", {
  grid: (p: Params, v) => [tiles(p.c * taps(v)), tiles(p.o), p.slices],
});
const sumSlices = defineKernel(wgsl.conv2d, "sumSlices", {
  grid: (p: Params, v) => [tiles(p.o * p.c * taps(v))],
});
const biasGradient = defineKernel(wgsl.conv2d, "biasGradient", { grid: (p: Params) => [p.o] });

const values = (s: ConvShape) => ({ KH: s.kh, KW: s.kw, STRIDE: s.stride });
function params(s: ConvShape, biased = 0, slice = 0, slices = 1) {
  const { n, c, h, w, o, oh, ow, padY, padX } = s;
  return { n, c, h, w, o, oh, ow, padY, padX, biased, slice, slices };
}

/** out[n,o,oh,ow] = conv(x, w) + bias. */
export function convForward(
  device: Device,
  { x, w, bias, out }: { x: HasBuffer; w: HasBuffer; bias: HasBuffer | null; out: HasBuffer },
  s: ConvShape,
): void {
  forward(device, { input: x, weights: w, bias, out }, params(s, bias ? 1 : 0), values(s));
}

/** out[n,c,h,w] = the gradient of sum(conv(x, w)·dy) by x, + bias[c] for transposed convolution. */
export function convInputGradient(
  device: Device,
  { dy, w, bias, out }: { dy: HasBuffer; w: HasBuffer; bias: HasBuffer | null; out: HasBuffer },
  s: ConvShape,
): void {
  inputGradient(device, { dy, weights: w, bias, out }, params(s, bias ? 1 : 0), values(s));
}

/** out[o,c,kh,kw] = the gradient of sum(conv(x, w)·dy) by w. */
export function convWeightGradient(
  device: Device,
  { x, dy, out }: { x: HasBuffer; dy: HasBuffer; out: HasBuffer },
  s: ConvShape,
): void {
  const depth = s.n * s.oh * s.ow;
  const weights = s.o * s.c * s.kh * s.kw;
  const groups = tiles(s.o) * tiles(s.c * s.kh * s.kw);
  // Few weights and many pixels leave a GPU idle: the pixels are cut into slices of 256 at least.
  const want = Math.min(Math.ceil(256 / groups), Math.ceil(depth / 256));
  const slice = Math.ceil(depth / want / 16) * 16;
  const slices = Math.ceil(depth / slice);
  if (slices === 1) return weightGradient(device, { input: x, dy, out }, params(s, 0, slice, 1), values(s));
  const parts = device.pool.acquire(slices * weights * 4, "slices of a weight gradient");
  weightGradient(device, { input: x, dy, out: parts }, params(s, 0, slice, slices), values(s));
  sumSlices(device, { input: parts, out }, params(s, 0, slice, slices), values(s));
  device.pool.release(parts);
}

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function convBiasGradient(
  device: Device,
  { dy, out }: { dy: HasBuffer; out: HasBuffer },
  { n, o, plane }: { n: number; o: number; plane: number },
): void {
  const shape = { n, o, c: 1, h: 1, w: 1, kh: 1, kw: 1, oh: 1, ow: plane, stride: 1, padY: 0, padX: 0 };
  biasGradient(device, { dy, out }, params(shape), values(shape));
}
