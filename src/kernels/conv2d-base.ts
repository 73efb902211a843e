// Convolution on any adapter: implicit matrix products through workgroup memory, of packed weights. On lavapipe, where other variants
// run, 4 images of side 32, 64 to 64 channels, take 48 to 52 ms for each of the three computations (with weights as they lie and 4x4
// numbers a thread 68 to 73), 1x1 of 128 to 384 channels at side 16 17 to 18 ms (25 to 26); on a GPU nothing was measured yet.
import type { Device } from "../gpu/device.ts";
import {
  quads,
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
import { defineKernel, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { BUSY, cut, sumSlices } from "./conv2d-slices.ts";
import { chunksFor, reduceRound } from "./reduce.ts";
import { combine, each, type Values } from "./shader.ts";
import { withDerived, withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const floats = { S: "f32", W4: "vec4f" };
const halves = { S: "f16", W4: "vec4h" };
const sides = each("TM", 64, 128);
const tm = (v: Values): number => Number(v["TM"]);
const runs = each("CP", 1, 4, 16);
/** Channels of a tap that K takes together: all of few, else sixteen at a time. */
const runOf = (k: number): number => (k === 1 ? 1 : k <= 4 ? 4 : 16);
const pack = defineKernel(wgsl.conv2d, "pack", {
  grid: (p, v) => [
    Math.ceil(quads(p.rows) / 16),
    Math.ceil((Math.ceil(p.k / Number(v["CP"])) * Number(v["CP"])) / 4),
    Math.ceil(taps(v) / 16),
  ],
  values: combine(windows, runs, [floats, halves]),
});
const maps = defineKernel(wgsl.conv2d, "maps", {
  grid: (p, v) => {
    const [x = 1, , z = 1] = spread(p.n * p.oh * p.ow, 1);
    return [x, Math.ceil(p.rows / tm(v)), Math.max(z, p.slices)];
  },
  values: [
    ...combine(windows, sides, runs, each("GRAD", 0, 1), [{ ...floats, Y: "f32" }]),
    ...combine(windows, sides, runs, [{ GRAD: 0, ...halves }], each("Y", "f32", "f16")),
  ],
});
const weightGradient = defineKernel(wgsl.conv2d, "weightGradient", {
  grid: (p, v) => [tiles(p.k * taps(v)), Math.ceil(p.rows / tm(v)), p.slices],
  values: combine(windows, sides),
});
/** Rows of a tile: 128 where they are filled and enough tiles are left. */
const sideOf = (rows: number, columns: number): number =>
  rows % 128 === 0 && (rows / 128) * columns >= BUSY ? 128 : 64;

interface Maps {
  readonly input: HasBuffer;
  readonly w: HasBuffer;
  readonly bias: HasBuffer | null;
  readonly residual: HasBuffer | null;
  readonly out: HasBuffer;
}
/** What `maps` reads (k channels of h by w) and makes (rows channels of oh by ow), and where the weight of a row and a k lies. */
interface Sides {
  readonly n: number;
  readonly k: number;
  readonly h: number;
  readonly w: number;
  readonly rows: number;
  readonly oh: number;
  readonly ow: number;
  readonly rowStep: number;
  readonly depthStep: number;
}

function product(
  device: Device,
  { input, w, bias, residual, out }: Maps,
  s: ConvShape,
  sides: Sides,
  grad: 0 | 1,
): void {
  const { n, k, rows, oh, ow } = sides;
  const stored = { S: storedAs(input), W4: storedInFours(input) };
  const columns = tiles(n * oh * ow);
  const TM = sideOf(rows, columns);
  const [CP, T] = [runOf(k), s.kh * s.kw];
  const width = Math.ceil(k / CP) * CP;
  const depth = Math.ceil((width * T) / 16) * 16;
  const groups = columns * Math.ceil(rows / TM);
  const { slice, slices } = cut(depth, groups, 16);
  const params = {
    ...sides,
    padY: s.padY,
    padX: s.padX,
    slice: slice / 16,
    slices,
    biased: bias ? 1 : 0,
    added: residual ? 1 : 0,
  };
  const values = { ...windowOf(s), GRAD: grad, TM, CP, ...stored };
  const kept = {
    name: `packed${grad ? " turned" : ""}`,
    floats: (width * T * 4 * quads(rows)) / (input.half ? 2 : 1),
  };
  const run = (packed: HasBuffer): void => {
    if (slices === 1)
      return maps(device, { input, packed, bias, residual, out }, params, { ...values, Y: storedAs(out) });
    withWorkspace(device, slices * n * rows * oh * ow, "a convolution's slices of its sums", (space) => {
      maps(device, { input, packed, bias, residual: null, out: space }, params, { ...values, Y: "f32" });
      const sizes = { n: n * rows * oh * ow, rows, inner: oh * ow, slices };
      sumSlices(device, { input: space, bias, residual, out }, sizes);
    });
  };
  // Weights of a 1x1 lie for its input gradient as they are wanted, where whole quads and slices do.
  if (T === 1 && sides.rowStep === 1 && k % 16 === 0 && rows % 4 === 0) return run(w);
  const constants = { ...windowOf(s), CP, ...stored };
  withDerived(device, w, kept, (packing) => pack(device, { input: w, packing }, params, constants), run);
}

export function baseForward(
  device: Device,
  { x, w, bias, residual, out }: ForwardBuffers,
  s: ConvShape,
): void {
  const { n, c, h, o, oh, ow } = s;
  const T = s.kh * s.kw;
  const sides = { n, k: c, h, w: s.w, rows: o, oh, ow, rowStep: c * T, depthStep: T };
  product(device, { input: x, w, bias, residual, out }, s, sides, 0);
}

export function baseInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  const { n, c, h, o, oh, ow } = s;
  const T = s.kh * s.kw;
  const sides = { n, k: o, h: oh, w: ow, rows: c, oh: h, ow: s.w, rowStep: T, depthStep: c * T };
  product(device, { input: dy, w, bias, residual: null, out }, s, sides, 1);
}

export function baseWeightGradient(
  device: Device,
  { x, dy, out }: WeightGradientBuffers,
  s: ConvShape,
): void {
  const { n, c, h, o, oh, ow } = s;
  const weights = o * c * s.kh * s.kw;
  const columns = tiles(c * s.kh * s.kw);
  const TM = sideOf(o, columns);
  const { slice, slices } = cut(n * oh * ow, columns * Math.ceil(o / TM), 16);
  const params = { n, k: c, h, w: s.w, rows: o, oh, ow, padY: s.padY, padX: s.padX, biased: 0, added: 0 };
  const values = { ...windowOf(s), TM };
  const run = (to: HasBuffer): void =>
    weightGradient(
      device,
      { input: x, dy, out: to },
      { ...params, ...{ slice, slices, rowStep: 0, depthStep: 0 } },
      values,
    );
  if (slices === 1) return run(out);
  withWorkspace(device, slices * weights, "a convolution's slices of the weight gradient", (space) => {
    run(space);
    sumSlices(
      device,
      { input: space, bias: null, residual: null, out },
      { n: weights, rows: 1, inner: 1, slices },
    );
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
