// Attention over heads that lie channels first: geometry, variants, and the bounded blocks of the backward pass.
import type { Device } from "../gpu/device.ts";
import { matrixAttention } from "./attention-matrix.ts";
import type { AttentionShape, Block } from "./attention-shape.ts";
import { castKernel } from "./cast.ts";
import { defineKernel, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { matmulKernel, type Product } from "./matmul.ts";
import { combine, each, type Values } from "./shader.ts";
import { broadcasts, declareVariants, LANES, pickVariant, type Variant } from "./variant.ts";
import { withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

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
const bothStored = [
  { ...vectors(4), Q: "vec4f" },
  { ...vectors(1), Q: "f32" },
  { ...vectors(4), Q: "vec4h" },
  { ...vectors(1), Q: "f16" },
];
const lanes = (SG: number): Values => ({ SG, KT: Math.max(16, 4 * SG) });
const everyBase = combine(each("O", 16, 32, 64), bothStored, each("Out", "f32", "f16"));
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
    values: combine(LANES.map(lanes), bothStored),
    grid: ({ t, heads, images }: LaunchParams, v) => [Math.ceil(t / (4 * number(v, "SG"))), heads, images],
  }),
  scores: defineKernel(wgsl.attentionSubgroup, "scores", {
    values: combine(LANES.map(lanes), bothVectors),
    grid: ({ t, rows, images, span }: LaunchParams, v) => [
      Math.ceil(t / (4 * number(v, "SG"))),
      Math.ceil(rows / number(v, "KT")),
      images * span,
    ],
  }),
};

/** Attention, and whether qkv is f16: gradients are made in f32 alone. */
interface Problem extends AttentionShape {
  readonly half: boolean;
}
const variants: readonly Variant<Problem>[] = [
  { name: "matrix", when: (device, { half }) => half && device.matrix !== null },
  { name: "subgroup", when: broadcasts },
  { name: "base" },
];
declareVariants(
  "attention",
  variants.map((v) => v.name),
);

function setup(device: Device, shape: AttentionShape, block?: Block, half = false) {
  const { t, d, heads, images } = shape;
  const name = pickVariant(device, "attention", variants, { ...shape, half }).name;
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
  return { name, kernels: name === "subgroup" ? subgroup : base, values, params };
}

/** out = softmax(scale·qᵀk)·vᵀ of each head and lse, the logarithm of each query's sum. */
export function attentionForward(
  device: Device,
  buffers: { qkv: HasBuffer; out: HasBuffer; lse_out: HasBuffer },
  shape: AttentionShape,
): void {
  const { qkv, out } = buffers;
  const { name, kernels, values, params } = setup(device, shape, undefined, qkv.half);
  if (name === "matrix") return matrixAttention(device, { qkv, out }, shape);
  const stored = { ...values, Q: shape.t % 4 === 0 ? storedInFours(qkv) : storedAs(qkv) };
  if (kernels === base) {
    // Few pipelines serve all sizes: sums past d are of zeros and never stored.
    const O = shape.d > 32 ? 64 : shape.d > 16 ? 32 : 16;
    kernels.forward(device, buffers, params, { ...stored, O, Out: storedAs(out) });
  } else if (out.half) {
    // This variant keeps its running sums in out.
    const floats = params.images * params.heads * params.d * params.t;
    withWorkspace(device, floats, "attention's sums", (sums) => {
      kernels.forward(device, { ...buffers, out: sums }, params, stored);
      castKernel(device, { x: sums, out }, floats);
    });
  } else kernels.forward(device, buffers, params, stored);
}

/** delta = Σ_channels y·dy of each query. */
export function attentionDelta(
  device: Device,
  buffers: { y_in: HasBuffer; dy_in: HasBuffer; delta_out: HasBuffer },
  shape: AttentionShape,
): void {
  rowDots(device, buffers, setup(device, shape).params);
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
