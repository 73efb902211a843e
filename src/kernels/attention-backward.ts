// The gradient of attention, in blocks of bounded score buffers: matrix products with one pass over the scores between them.
// Products that other layers compile too, instead of a kernel that fuses the first two: lavapipe's compiler took 1.4 s for that.
import type { Device } from "../gpu/device.ts";
import { placesOf, type AttentionShape, type Block } from "./attention-shape.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { matmulKernel } from "./matmul.ts";
import { combine, each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const forms = combine(everyRun, each("T", "vec4f", "f32"));
const rowDots = defineKernel(wgsl.attentionBackward, "row_dots", {
  values: [{}],
  grid: ({ t, count }) => [Math.ceil(t / 64), count],
});
const probabilities = defineKernel(wgsl.attentionBackward, "probabilities", {
  values: forms,
  grid: ({ n }, values) => gridOf(n, values),
});

/** dots = Σ_channels result·dy of each query. */
export function attentionDelta(
  device: Device,
  buffers: { result: HasBuffer; dy: HasBuffer; dots: HasBuffer },
  { t, d, heads, images }: AttentionShape,
): void {
  rowDots(device, buffers, { t, d, count: heads * images });
}

export interface AttentionBackwardBuffers {
  readonly qkv: HasBuffer;
  readonly dy: HasBuffer;
  readonly lse: HasBuffer;
  readonly delta: HasBuffer;
  /** Score buffers of the block. */
  readonly probs: HasBuffer;
  readonly slopes: HasBuffer;
  readonly dqkv: HasBuffer;
}

/** One block: P and dS into `probs` and `slopes`, then the block's share of the gradients in dqkv. */
export function attentionBackward(
  device: Device,
  { qkv, dy, lse, delta, probs, slopes, dqkv }: AttentionBackwardBuffers,
  shape: AttentionShape,
  block: Block,
): void {
  const { t, d, heads } = shape;
  const { queries: rows, query: first } = block;
  const { part, outputs, scores, many } = placesOf(shape, block);
  const inner = { m: rows, n: t, k: d, transposeA: true, c: scores, ...many };
  matmulKernel(device, { a: qkv, b: qkv, c: probs }, { ...inner, a: part(0, first), b: part(1, 0) });
  matmulKernel(device, { a: dy, b: qkv, c: slopes }, { ...inner, a: outputs, b: part(2, 0) });
  const unit = t % 4 === 0 ? 4 : 1;
  const n = (block.images * block.heads * rows * t) / unit;
  probabilities(
    device,
    { lse, delta, probs, slopes },
    {
      ...{ n, cells: t / unit, t, heads, scale: 1 / Math.sqrt(d), first, rows },
      ...{ first_image: block.image, first_head: block.head, span: block.heads },
    },
    { ...runs(device, n), T: unit === 4 ? "vec4f" : "f32" },
  );
  const sums = { m: d, n: t, k: rows, b: scores, accumulate: first > 0, ...many };
  matmulKernel(device, { a: dy, b: probs, c: dqkv }, { ...sums, a: outputs, c: part(2, 0) });
  matmulKernel(device, { a: qkv, b: slopes, c: dqkv }, { ...sums, a: part(0, first), c: part(1, 0) });
  const outer = { m: d, n: rows, k: t, transposeB: true, ...many };
  matmulKernel(
    device,
    { a: qkv, b: slopes, c: dqkv },
    { ...outer, a: part(1, 0), b: scores, c: part(0, first) },
  );
}
