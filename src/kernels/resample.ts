// Launches resample.wgsl: the vec4 forms for blocks of 2 x 2 where the width allows.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import type { Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Planes of [h, w] beside planes of [bigH, bigW], blocks of k x k. */
export interface Blocks {
  readonly planes: number;
  readonly h: number;
  readonly w: number;
  readonly bigH: number;
  readonly bigW: number;
  readonly k: number;
}

const grid = ({ n }: { n: number }, values: Values) => gridOf(n, values);
const spread = defineKernel(wgsl.resample, "spread", { grid, values: everyRun });
const spread2 = defineKernel(wgsl.resample, "spread2", { grid, values: everyRun });
const gather = defineKernel(wgsl.resample, "gather", { grid, values: everyRun });
const gather2 = defineKernel(wgsl.resample, "gather2", { grid, values: everyRun });

const isWhole = ({ h, w, bigH, bigW, k }: Blocks): boolean =>
  k === 2 && w % 4 === 0 && bigW === 2 * w && bigH === 2 * h;

const paramsOf = ({ h, w, bigH, bigW, k }: Blocks, n: number, factor: number) => ({
  ...{ n, k, h, w, big_h: bigH, big_w: bigW, factor },
});

/** Large planes: each element of a block is factor times the small plane's; 0 outside the blocks. */
export function spreadBlocks(
  device: Device,
  { small, large }: { small: HasBuffer; large: HasBuffer },
  b: Blocks,
  factor: number,
): void {
  const n = isWhole(b) ? (b.planes * b.h * b.w) / 4 : b.planes * b.bigH * b.bigW;
  const params = paramsOf(b, n, factor);
  if (isWhole(b)) spread2(device, { source4: small, out4: large }, params, runs(device, n));
  else spread(device, { source: small, out: large }, params, runs(device, n));
}

/** Small planes: factor times the sum over each block of the large plane. */
export function gatherBlocks(
  device: Device,
  { small, large }: { small: HasBuffer; large: HasBuffer },
  b: Blocks,
  factor: number,
): void {
  const n = isWhole(b) ? (b.planes * b.h * b.w) / 4 : b.planes * b.h * b.w;
  const params = paramsOf(b, n, factor);
  if (isWhole(b)) gather2(device, { source4: large, out4: small }, params, runs(device, n));
  else gather(device, { source: large, out: small }, params, runs(device, n));
}
