// Convolution of f16 features by f16 weights through subgroup matrices, where the user asked for them.
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
} from "./conv2d-shape.ts";
import { cut, sumSlices } from "./conv2d-slices.ts";
import { defineKernel, storedAs, type HasBuffer } from "./kernel.ts";
import { matrixSizes, matrixValues } from "./matrix.ts";
import { combine, each } from "./shader.ts";
import { withDerived, withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const pack = defineKernel(wgsl.conv2dMatrix, "pack", {
  grid: (p, v) => [Math.ceil(quads(p.c) / 64), p.o, Math.ceil(taps(v) / 16)],
  values: combine(matrixValues, windows),
});
const forward = defineKernel(wgsl.conv2dMatrix, "forward", {
  grid: (p) => {
    const [x = 1, y = 1, z = 1] = spread(p.n * p.oh * p.ow, p.o);
    return [x, y, Math.max(z, p.slices)];
  },
  values: combine(matrixValues, windows, each("Y", "f16", "f32")),
});
/** Of k, staged at a time (shaders/lib/matrix.wgsl). */
const KS = 32;

export function matrixForward(
  device: Device,
  { x, w, bias, residual, out }: ForwardBuffers,
  s: ConvShape,
): void {
  const [window, sizes] = [windowOf(s), matrixSizes(device)];
  const { n, c, o, oh, ow } = s;
  const depth = Math.ceil(c / KS) * KS * s.kh * s.kw;
  const { slice, slices } = cut(depth, tiles(n * oh * ow) * tiles(o), KS);
  const params = { ...s, biased: bias ? 1 : 0, added: residual ? 1 : 0, slice, slices };
  const run = (packed: HasBuffer): void => {
    if (slices === 1)
      return forward(device, { input: x, packed, bias, residual, out }, params, {
        ...window,
        ...sizes,
        Y: storedAs(out),
      });
    withWorkspace(device, slices * n * o * oh * ow, "a convolution's slices of its sums", (space) => {
      forward(device, { input: x, packed, bias, residual: null, out: space }, params, {
        ...window,
        ...sizes,
        Y: "f32",
      });
      sumSlices(
        device,
        { input: space, bias, residual, out },
        { n: n * o * oh * ow, rows: o, inner: oh * ow, slices },
      );
    });
  };
  // Weights of one tap lie as they are wanted, where whole quads of channels do.
  if (s.kh * s.kw === 1 && c % 4 === 0) return run(w);
  const kept = { name: "packed lines", floats: 2 * s.kh * s.kw * o * quads(c) };
  withDerived(
    device,
    w,
    kept,
    (packing) => pack(device, { input: w, packing }, params, { ...window, ...sizes }),
    run,
  );
}
