// Convolution on any adapter: implicit matrix products through workgroup memory.
import type { Device } from "../gpu/device.ts";
import {
  spread,
  taps,
  tiles,
  windowOf,
  windows,
  type ConvShape,
  type ForwardBuffers,
  type InputGradientBuffers,
  type WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { defineKernel, storedAs, type HasBuffer } from "./kernel.ts";
import { chunksFor, reduceRound } from "./reduce.ts";
import { combine, each } from "./shader.ts";
import { withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const forward = defineKernel(wgsl.conv2d, "forward", {
  grid: (p) => spread(p.n * p.oh * p.ow, p.o),
  values: combine(windows, each("S", "f32", "f16")),
});
const inputGradient = defineKernel(wgsl.conv2d, "inputGradient", {
  grid: (p) => spread(p.n * p.h * p.w, p.c),
  values: windows,
});
const weightGradient = defineKernel(wgsl.conv2d, "weightGradient", {
  grid: (p, v) => [tiles(p.c * taps(v)), tiles(p.o), p.slices],
  values: windows,
});
const sumSlices = defineKernel(wgsl.conv2d, "sumSlices", {
  grid: (p, v) => [tiles(p.o * p.c * taps(v))],
  values: windows,
});

const unsliced = { slice: 0, slices: 1 };

export function baseForward(device: Device, { x, w, bias, out }: ForwardBuffers, s: ConvShape): void {
  forward(
    device,
    { input: x, weights: w, bias, out },
    { ...s, ...unsliced, biased: bias ? 1 : 0 },
    { ...windowOf(s), S: storedAs(x) },
  );
}

export function baseInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  inputGradient(
    device,
    { dy, weights: w, bias, out },
    { ...s, ...unsliced, biased: bias ? 1 : 0 },
    windowOf(s),
  );
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
  const params = { ...s, biased: 0, slice, slices };
  if (slices === 1) return weightGradient(device, { input: x, dy, out }, params, windowOf(s));
  withWorkspace(device, slices * weights, "a convolution's slices of the weight gradient", (space) => {
    weightGradient(device, { input: x, dy, out: space }, params, windowOf(s));
    sumSlices(device, { input: space, out }, params, windowOf(s));
  });
}

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function baseBiasGradient(
  device: Device,
  { dy, out }: { dy: HasBuffer; out: HasBuffer },
  { n, o, plane }: { n: number; o: number; plane: number },
): void {
  const chunks = chunksFor(device, n * o, plane, 1);
  const sum = (x: HasBuffer, to: HasBuffer, outer: number, length: number, inner: number, chunks = 1): void =>
    reduceRound(device, x, to, {
      outer,
      length,
      inner,
      chunks,
      op: "sum",
      square: false,
      scale: 1,
      root: false,
    });
  withWorkspace(device, n * o * chunks, "a convolution's sums of planes", (planes) => {
    sum(dy, planes, n * o, plane, 1, chunks);
    if (chunks === 1) return sum(planes, out, 1, n, o);
    withWorkspace(device, o * chunks, "a convolution's sums of images", (images) => {
      sum(planes, images, 1, n, o * chunks);
      sum(images, out, o, chunks, 1);
    });
  });
}
