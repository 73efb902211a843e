// Launches max-pool.wgsl.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import type { Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Planes of [bigH, bigW] pooled to [h, w] by windows of k x k. */
export interface Windows {
  readonly planes: number;
  readonly h: number;
  readonly w: number;
  readonly bigH: number;
  readonly bigW: number;
  readonly k: number;
  readonly stride: number;
  readonly padding: number;
}

const grid = ({ n }: { n: number }, values: Values) => gridOf(n, values);
const forward = defineKernel(wgsl.maxPool, "forward", { grid, values: everyRun });
const backward = defineKernel(wgsl.maxPool, "backward", { grid, values: everyRun });

const paramsOf = ({ h, w, bigH, bigW, k, stride, padding }: Windows, n: number) => ({
  ...{ n, k, stride, padding, h, w, big_h: bigH, big_w: bigW },
});

/** out = the largest of each window, place (u32) = where in its plane it is. */
export function maxPoolForward(
  device: Device,
  buffers: { source: HasBuffer; out: HasBuffer; place: HasBuffer },
  windows: Windows,
): void {
  const n = windows.planes * windows.h * windows.w;
  forward(device, buffers, paramsOf(windows, n), runs(device, n));
}

/** out = sum of dy over the windows that chose the element. */
export function maxPoolBackward(
  device: Device,
  buffers: { dy: HasBuffer; chosen: HasBuffer; out: HasBuffer },
  windows: Windows,
): void {
  const n = windows.planes * windows.bigH * windows.bigW;
  backward(device, buffers, paramsOf(windows, n), runs(device, n));
}
