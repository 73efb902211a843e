import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import type { Draw } from "./random.ts";
import type { Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const whole: Values = { V: 4, T: "vec4f" };
const ragged: Values = { V: 1, T: "f32" };
const kernel = defineKernel(wgsl.dropout, "main", {
  varies: true,
  grid: ({ images, blocks }) => grid1d(images * blocks, 64),
  values: [whole, ragged],
});

/** out = x where the draw's uniform number is at least `rate`, scaled by 1/(1 − rate), else 0. */
export function dropout(
  device: Device,
  buffers: { x: HasBuffer; out: HasBuffer },
  draw: Draw,
  rate: number,
): void {
  const params = { ...draw, blocks: Math.ceil(draw.size / 4), rate, scale: 1 / (1 - rate) };
  kernel(device, buffers, params, draw.size % 4 === 0 ? whole : ragged);
}
