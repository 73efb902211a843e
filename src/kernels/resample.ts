// Launches resample.wgsl: the vec4 forms for blocks of 2 x 2 where the width allows.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, storedAs, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
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
const every = combine(everyRun, each("S", "f32", "f16"));
const spread = defineKernel(wgsl.resample, "spread", { grid, values: every });
const spread2 = defineKernel(wgsl.resample, "spread2", { grid, values: every });
const gather = defineKernel(wgsl.resample, "gather", { grid, values: every });
const gather2 = defineKernel(wgsl.resample, "gather2", { grid, values: every });

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
  const values = { ...runs(device, n), S: storedAs(small) };
  if (isWhole(b)) spread2(device, { source4: small, out4: large }, params, values);
  else spread(device, { source: small, out: large }, params, values);
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
  const values = { ...runs(device, n), S: storedAs(small) };
  if (isWhole(b)) gather2(device, { source4: large, out4: small }, params, values);
  else gather(device, { source: large, out: small }, params, values);
}
