import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import type { Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ images, blocks }: { images: number; blocks: number }): [number, number] =>
  grid1d(images * blocks, 64);
const whole: Values = { V: 4, T: "vec4f", W: "vec4u" };
const ragged: Values = { V: 1, T: "f32", W: "u32" };
const values = [whole, ragged];
const uniformValues = defineKernel(wgsl.random, "uniform_values", { grid, values, varies: true });
const normalValues = defineKernel(wgsl.random, "normal_values", { grid, values, varies: true });
const words = defineKernel(wgsl.random, "words", { grid, values, varies: true });

export interface Draw {
  readonly images: number;
  /** Values of an image. */
  readonly size: number;
  /** Number of the first image. */
  readonly first: number;
  readonly stream_low: number;
  readonly stream_high: number;
  readonly seed_low: number;
  readonly seed_high: number;
}

const valuesFor = ({ size }: Draw): Values => (size % 4 === 0 ? whole : ragged);

export function drawFloats(device: Device, kind: "uniform" | "normal", out: HasBuffer, draw: Draw): void {
  const params = { ...draw, blocks: Math.ceil(draw.size / 4) };
  (kind === "uniform" ? uniformValues : normalValues)(device, { out }, params, valuesFor(draw));
}

export function drawWords(device: Device, out: HasBuffer, draw: Draw): void {
  words(device, { out_words: out }, { ...draw, blocks: Math.ceil(draw.size / 4) }, valuesFor(draw));
}
