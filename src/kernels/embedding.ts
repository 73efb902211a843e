import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import { each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const values = each("T", "vec4f", "f32");
const forward = defineKernel(wgsl.embedding, "forward", {
  grid: ({ outer, count, inner }) => grid1d(outer * count * inner, 64),
  values,
});
const backward = defineKernel(wgsl.embedding, "backward", {
  grid: ({ outer, rows, inner }) => grid1d(outer * rows * inner, 64),
  values,
});

export interface EmbeddingProblem {
  readonly outer: number;
  readonly rows: number;
  readonly inner: number;
  readonly count: number;
}

const plan = (q: EmbeddingProblem) =>
  q.inner % 4 === 0
    ? { params: { ...q, inner: q.inner / 4 }, values: { T: "vec4f" } }
    : { params: q, values: { T: "f32" } };

export function embeddingForward(
  device: Device,
  buffers: { table: HasBuffer; indices: HasBuffer; out: HasBuffer },
  problem: EmbeddingProblem,
): void {
  const { params, values } = plan(problem);
  forward(device, buffers, params, values);
}

export function embeddingBackward(
  device: Device,
  buffers: { indices: HasBuffer; dy: HasBuffer; out: HasBuffer },
  problem: EmbeddingProblem,
): void {
  const { params, values } = plan(problem);
  backward(device, buffers, params, values);
}
