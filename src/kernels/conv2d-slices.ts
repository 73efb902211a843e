// A convolution's sums in slices: how they are cut, so that small maps of many channels keep a large GPU busy, and added up.
import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, storedAs, type HasBuffer } from "./kernel.ts";
import { each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const add = defineKernel(wgsl.conv2dSlices, "main", {
  grid: ({ n }) => grid1d(n, 64),
  values: each("Y", "f32", "f16"),
});

/** Workgroups that keep a large GPU busy: two for each of its some 130 processors. */
export const BUSY = 256;

/**
 * A sum of `depth` terms in slices for `groups` workgroups: terms of one, in whole `step`s, and how many. Where half of a large GPU is
 * busy without, they would cost more than they bring; of 512 terms at least, of 256 where the workgroups are very few.
 */
export function cut(depth: number, groups: number, step: number): { slice: number; slices: number } {
  const most = groups >= BUSY / 2 ? 1 : Math.floor(depth / (groups < 32 ? 256 : 512));
  const want = Math.max(1, Math.min(Math.ceil(BUSY / groups), most));
  const slice = Math.ceil(depth / want / step) * step;
  return { slice, slices: Math.ceil(depth / slice) };
}

/** out[i] = Σ_z input[z·n + i] + bias[i / inner % rows] + residual[i], input in f32. */
export function sumSlices(
  device: Device,
  buffers: { input: HasBuffer; bias: HasBuffer | null; residual: HasBuffer | null; out: HasBuffer },
  sizes: { n: number; rows: number; inner: number; slices: number },
): void {
  const [biased, added] = [buffers.bias ? 1 : 0, buffers.residual ? 1 : 0];
  add(device, buffers, { ...sizes, biased, added }, { Y: storedAs(buffers.out) });
}
