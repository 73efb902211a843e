// Convolution on any adapter: implicit matrix products through workgroup memory.
import type { Device } from "../gpu/device.ts";
import {
  withWorkspace,
  type ConvShape,
  type ForwardBuffers,
  type InputGradientBuffers,
  type WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

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

/** Constants of some windows: those of the networks, and others. */
export const windows: readonly Values[] = [
  { KH: 1, KW: 1, STRIDE: 1 },
  { KH: 3, KW: 3, STRIDE: 1 },
  { KH: 3, KW: 3, STRIDE: 2 },
  { KH: 1, KW: 5, STRIDE: 3 },
];
const forward = defineKernel(wgsl.conv2d, "forward", {
  grid: (p: Params) => spread(p.n * p.oh * p.ow, p.o),
  values: windows,
});
const inputGradient = defineKernel(wgsl.conv2d, "inputGradient", {
  grid: (p: Params) => spread(p.n * p.h * p.w, p.c),
  values: windows,
});
const weightGradient = defineKernel(wgsl.conv2d, "weightGradient", {
  grid: (p: Params, v) => [tiles(p.c * taps(v)), tiles(p.o), p.slices],
  values: windows,
});
const sumSlices = defineKernel(wgsl.conv2d, "sumSlices", {
  grid: (p: Params, v) => [tiles(p.o * p.c * taps(v))],
  values: windows,
});
const biasGradient = defineKernel(wgsl.conv2d, "biasGradient", {
  grid: (p: Params) => [p.o],
  values: windows,
});

const values = (s: ConvShape) => ({ KH: s.kh, KW: s.kw, STRIDE: s.stride });
function params(s: ConvShape, biased = 0, slice = 0, slices = 1) {
  const { n, c, h, w, o, oh, ow, padY, padX } = s;
  return { n, c, h, w, o, oh, ow, padY, padX, biased, slice, slices };
}

export function baseForward(device: Device, { x, w, bias, out }: ForwardBuffers, s: ConvShape): void {
  forward(device, { input: x, weights: w, bias, out }, params(s, bias ? 1 : 0), values(s));
}

export function baseInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  inputGradient(device, { dy, weights: w, bias, out }, params(s, bias ? 1 : 0), values(s));
}

export function baseWeightGradient(
  device: Device,
  { x, dy, out }: WeightGradientBuffers,
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
  withWorkspace(device, slices * weights, "slices of the weight gradient", (space) => {
    weightGradient(device, { input: x, dy, out: space }, params(s, 0, slice, slices), values(s));
    sumSlices(device, { input: space, out }, params(s, 0, slice, slices), values(s));
  });
}

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function baseBiasGradient(
  device: Device,
  { dy, out }: { dy: HasBuffer; out: HasBuffer },
  { n, o, plane }: { n: number; o: number; plane: number },
): void {
  const shape = { n, o, c: 1, h: 1, w: 1, kh: 1, kw: 1, oh: 1, ow: plane, stride: 1, padY: 0, padX: 0 };
  biasGradient(device, { dy, out }, params(shape), values(shape));
}
