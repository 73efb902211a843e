// Attention over heads that lie channels first: geometry, variants, and the bounded blocks of the backward pass.
import type { Device } from "../gpu/device.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { matmulKernel, type Product } from "./matmul.ts";
import { combine, each, type Values } from "./shader.ts";
import { broadcasts, declareVariants, LANES, pickVariant, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Where q, k, v of head (image, head) lie in qkv, in elements: image·imageStride + head·headStride, then part by part. */
export interface AttentionShape {
  readonly images: number;
  readonly heads: number;
  /** Channels of a head. */
  readonly d: number;
  /** Tokens. */
  readonly t: number;
  readonly headStride: number;
  readonly partStride: number;
}

/** Bytes that one of the two score buffers of the backward pass may take. */
export const SCORE_BYTES = 2 ** 24;

/** What one step of the backward pass covers: whole images, or some heads of one, or some queries of one head. */
interface Block {
  readonly image: number;
  readonly images: number;
  readonly head: number;
  readonly heads: number;
  readonly query: number;
  readonly queries: number;
}

interface LaunchParams {
  readonly t: number;
  readonly d: number;
  readonly heads: number;
  readonly images: number;
  readonly span: number;
  readonly rows: number;
}
const number = (values: Values, name: string): number => Number(values[name]);
const vectors = (t: number): Values => (t % 4 === 0 ? { V: 1, T: "vec4f" } : { V: 0, T: "f32" });
const bothVectors = [vectors(4), vectors(1)];
const lanes = (SG: number): Values => ({ SG, KT: Math.max(16, 4 * SG) });
const everyBase = combine(each("O", 16, 32, 64), bothVectors);
const everyLane = combine(LANES.map(lanes), bothVectors);
const base = {
  forward: defineKernel(wgsl.attention, "forward", {
    values: everyBase,
    grid: ({ t, d, heads, images }: LaunchParams, v) => [
      Math.ceil(t / 64) * Math.ceil(d / number(v, "O")),
      heads,
      images,
    ],
  }),
  scores: defineKernel(wgsl.attention, "scores", {
    values: bothVectors,
    grid: ({ t, rows, images, span }: LaunchParams) => [
      Math.ceil(t / 64),
      Math.ceil(rows / 64),
      images * span,
    ],
  }),
};
const rowDots = defineKernel(wgsl.attention, "row_dots", {
  values: [{}],
  grid: ({ t, heads, images }: LaunchParams) => [Math.ceil(t / 64), heads * images],
});
const subgroup = {
  forward: defineKernel(wgsl.attentionSubgroup, "forward", {
    values: everyLane,
    grid: ({ t, heads, images }: LaunchParams, v) => [Math.ceil(t / (4 * number(v, "SG"))), heads, images],
  }),
  scores: defineKernel(wgsl.attentionSubgroup, "scores", {
    values: everyLane,
    grid: ({ t, rows, images, span }: LaunchParams, v) => [
      Math.ceil(t / (4 * number(v, "SG"))),
      Math.ceil(rows / number(v, "KT")),
      images * span,
    ],
  }),
};

const variants: readonly Variant<AttentionShape>[] = [
  { name: "subgroup", when: broadcasts },
  { name: "base" },
];
declareVariants(
  "attention",
  variants.map((v) => v.name),
);

function setup(device: Device, shape: AttentionShape, block?: Block) {
  const { t, d, heads, images } = shape;
  const name = pickVariant(device, "attention", variants, shape).name;
  const values = name === "subgroup" ? { ...vectors(t), ...lanes(device.subgroupSize) } : vectors(t);
  const params = {
    t,
    d,
    heads,
    image: 3 * heads * d * t,
    head: shape.headStride,
    part: shape.partStride,
    scale: 1 / Math.sqrt(d),
    first_image: block?.image ?? 0,
    first_head: block?.head ?? 0,
    images: block?.images ?? images,
    span: block?.heads ?? heads,
    first: block?.query ?? 0,
    rows: block?.queries ?? t,
  };
  return { kernels: name === "subgroup" ? subgroup : base, values, params };
}

/** out = softmax(scale·qᵀk)·vᵀ of each head and lse, the logarithm of each query's sum. */
export function attentionForward(
  device: Device,
  buffers: { qkv: HasBuffer; out: HasBuffer; lse_out: HasBuffer },
  shape: AttentionShape,
): void {
  const { kernels, values, params } = setup(device, shape);
  // Few pipelines serve all sizes: sums past d are of zeros and never stored.
  const O = shape.d > 32 ? 64 : shape.d > 16 ? 32 : 16;
  kernels.forward(device, buffers, params, kernels === base ? { ...values, O } : values);
}

/** delta = Σ_channels y·dy of each query. */
export function attentionDelta(
  device: Device,
  buffers: { y_in: HasBuffer; dy_in: HasBuffer; delta_out: HasBuffer },
  shape: AttentionShape,
): void {
  rowDots(device, buffers, setup(device, shape).params);
}

/** Blocks whose score buffers stay within `bytes` each. */
export function attentionBlocks({ images, heads, t }: AttentionShape, bytes = SCORE_BYTES): Block[] {
  const blocks: Block[] = [];
  const fit = Math.floor(bytes / (4 * t * t));
  const imageStep = Math.min(images, Math.max(1, Math.floor(fit / heads)));
  const headStep = Math.min(heads, Math.max(1, fit));
  const queryStep = fit > 0 ? t : Math.max(4, Math.floor(bytes / (4 * t) / 4) * 4);
  for (let image = 0; image < images; image += imageStep)
    for (let head = 0; head < heads; head += headStep)
      for (let query = 0; query < t; query += queryStep)
        blocks.push({
          image,
          images: Math.min(imageStep, images - image),
          head,
          heads: Math.min(headStep, heads - head),
          query,
          queries: Math.min(queryStep, t - query),
        });
  return blocks;
}

/** One block of the backward pass: P and dS into `probs` and `slopes`, then the block's share of the gradients in dqkv. */
export function attentionBackward(
  device: Device,
  buffers: {
    qkv: HasBuffer;
    dy: HasBuffer;
    lse: HasBuffer;
    delta: HasBuffer;
    probs: HasBuffer;
    slopes: HasBuffer;
    dqkv: HasBuffer;
  },
  shape: AttentionShape,
  block: Block,
): void {
  const { kernels, values, params } = setup(device, shape, block);
  const { qkv, dy, probs, slopes, dqkv } = buffers;
  kernels.scores(device, buffers, params, values);
  const { t, d, heads } = shape;
  const { queries, query } = block;
  const many = { outer: block.images, inner: block.heads };
  const start = block.image * params.image + block.head * params.head;
  const part = (i: number, token: number) => ({
    line: t,
    start: start + i * params.part + token,
    outer: params.image,
    inner: params.head,
  });
  const cotangent = {
    line: t,
    start: (block.image * heads + block.head) * d * t + query,
    outer: heads * d * t,
    inner: d * t,
  };
  const matrix = { line: t, outer: block.heads * queries * t, inner: queries * t };
  const sums: Omit<Product, "a" | "c"> = {
    m: d,
    n: t,
    k: queries,
    b: matrix,
    accumulate: query > 0,
    ...many,
  };
  matmulKernel(device, { a: dy, b: probs, c: dqkv }, { ...sums, a: cotangent, c: part(2, 0) });
  matmulKernel(device, { a: qkv, b: slopes, c: dqkv }, { ...sums, a: part(0, query), c: part(1, 0) });
  matmulKernel(
    device,
    { a: qkv, b: slopes, c: dqkv },
    { m: d, n: queries, k: t, transposeB: true, a: part(1, 0), b: matrix, c: part(0, query), ...many },
  );
}
