// Rows in whole quads (vec4s), as the product kernels read them: padded copies where a row is not, and sums of slices.
import type { Device } from "../gpu/device.ts";
import { quads } from "./conv2d-shape.ts";
import { defineKernel, grid1d, storedAs, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import { withDerived, withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const overRows = {
  grid: ({ rows, outPitch }: { rows: number; outPitch: number }) => grid1d(rows * outPitch, 64),
};
const copyRows = defineKernel(wgsl.conv2dRows, "copyRows", {
  ...overRows,
  values: combine(each("X", "f32", "f16"), each("Y", "f32", "f16")),
});
const sumRows = defineKernel(wgsl.conv2dRows, "sumSlices", { ...overRows, values: [{}] });
const plain = { step: 1, slices: 1 };

/** `fn` reads rows of `width` in whole quads: those of `from`, or a copy padded with zeros (kept where `from` is constant). */
export function wholeQuads(
  device: Device,
  from: HasBuffer,
  rows: number,
  width: number,
  fn: (padded: HasBuffer) => void,
): void {
  if (width % 4 === 0) return fn(from);
  const outPitch = 4 * quads(width);
  const padded = { name: `rows of ${width} padded`, floats: rows * outPitch };
  const pad = (out: HasBuffer): void => {
    const sizes = { ...plain, rows, width, inPitch: width, outPitch };
    copyRows(device, { input: from, out }, sizes, { X: storedAs(from) });
  };
  withDerived(device, from, padded, pad, fn);
}

/** `fn` writes rows of `width` in whole quads, which end up in `to` without their padding. */
export function cutQuads(
  device: Device,
  to: HasBuffer,
  rows: number,
  width: number,
  fn: (padded: HasBuffer) => void,
): void {
  if (width % 4 === 0) return fn(to);
  const inPitch = 4 * quads(width);
  withWorkspace(device, rows * inPitch, "a convolution's padded rows", (input) => {
    fn(input);
    const sizes = { ...plain, rows, width, inPitch, outPitch: width };
    copyRows(device, { input, out: to }, sizes, { Y: storedAs(to) });
  });
}

/** `fn` reads w[o][k] transposed to [k][o], o padded to quads (kept where w is constant). */
export function transposed(
  device: Device,
  w: HasBuffer,
  o: number,
  k: number,
  fn: (packed: HasBuffer) => void,
): void {
  const outPitch = 4 * quads(o);
  const turned = { name: `rows of ${k} transposed`, floats: k * outPitch };
  const transpose = (out: HasBuffer): void =>
    copyRows(device, { input: w, out }, { ...plain, rows: k, width: o, inPitch: 1, outPitch, step: k });
  withDerived(device, w, turned, transpose, fn);
}

/** out[rows][width] = the sum of `slices` such matrices, whose rows are padded to quads. */
export function sumSlices(
  device: Device,
  buffers: { input: HasBuffer; out: HasBuffer },
  rows: number,
  width: number,
  slices: number,
): void {
  sumRows(device, buffers, { ...plain, rows, width, inPitch: 4 * quads(width), outPitch: width, slices });
}
