import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

const kernel = defineKernel(wgsl.sumTo, "sum_to", { grid: ({ n }) => grid1d(n, 64) });

export interface SumToShape {
  readonly outer: number;
  readonly r: number;
  readonly inner: number;
}

/** Chunks into which an axis is cut, so that few outputs still give every core work; 1 where one pass does. */
export function sumToChunks({ outer, r, inner }: SumToShape): number {
  return outer * inner >= 1024 || r < 256 ? 1 : Math.ceil(r / 128);
}

/** out[outer, chunks, inner] = factor * sums over pieces of the axis r of x[outer, r, inner]. */
export function sumTo(
  device: Device,
  { x, out }: { x: HasBuffer; out: HasBuffer },
  { outer, r, inner }: SumToShape,
  chunks: number,
  factor: number,
): void {
  const whole = inner === 1 && r % 4 === 0;
  const len = Math.ceil(r / chunks);
  const params = whole
    ? { n: outer * chunks, r: r / 4, inner, chunks, len: Math.ceil(len / 4), factor }
    : { n: outer * chunks * inner, r, inner, chunks, len, factor };
  kernel(device, { x, out }, params, whole ? { WIDE: 1, V: "vec4f" } : {});
}
