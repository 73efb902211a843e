// Attention over heads that lie channels first, forward: which variant runs (attention-backward.ts holds the other way).
// 4 images, 4 heads, 256 positions, 32 channels on lavapipe: 5.2 ms as `subgroup`, where a lane owns whole rows, 39 as `base`.
import type { Device } from "../gpu/device.ts";
import { matrixAttention } from "./attention-matrix.ts";
import type { AttentionShape } from "./attention-shape.ts";
import { castKernel } from "./cast.ts";
import { defineKernel, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import { broadcasts, countClass, defineVariants, halfName, LANES, type Variant } from "./variant.ts";
import { withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const vectors = (t: number): Values => (t % 4 === 0 ? { V: 1, T: "vec4f" } : { V: 0, T: "f32" });
const bothStored = [
  { ...vectors(4), Q: "vec4f" },
  { ...vectors(1), Q: "f32" },
  { ...vectors(4), Q: "vec4h" },
  { ...vectors(1), Q: "f16" },
];
const lanes = (SG: number): Values => ({ SG, KT: Math.max(16, 4 * SG) });
const base = defineKernel(wgsl.attention, "forward", {
  values: combine(each("O", 16, 32, 64), bothStored, each("Out", "f32", "f16")),
  grid: ({ t, d, heads, images }, v) => [Math.ceil(t / 64) * Math.ceil(d / Number(v["O"])), heads, images],
});
const subgroup = defineKernel(wgsl.attentionSubgroup, "forward", {
  values: combine(LANES.map(lanes), bothStored),
  grid: ({ t, heads, images }, v) => [Math.ceil(t / (4 * Number(v["SG"]))), heads, images],
});

/** Attention, and whether qkv is f16: gradients are made in f32 alone. */
interface Problem extends AttentionShape {
  readonly half: boolean;
}
const variants: readonly Variant<Problem>[] = [
  { name: "matrix", can: (device, { half }) => half && device.matrix !== null },
  { name: "subgroup", can: broadcasts },
  { name: "base" },
];
const pick = defineVariants(
  "attention",
  variants,
  ({ t, d, heads, images, half }: Problem, device: Device) =>
    `t${t} d${d} n${countClass(heads * images)}${half ? ` ${halfName(device)}` : ""}`,
);

/** out = softmax(scale·qᵀk)·vᵀ of each head and lse, the logarithm of each query's sum (the matrix variant leaves it out). */
export function attentionForward(
  device: Device,
  buffers: { qkv: HasBuffer; out: HasBuffer; lse_out: HasBuffer },
  shape: AttentionShape,
): void {
  const { qkv, out } = buffers;
  const { t, d, heads, images, headStride: head, partStride: part } = shape;
  const { name } = pick(device, { ...shape, half: qkv.half ?? false });
  if (name === "matrix") return matrixAttention(device, { qkv, out }, shape);
  const params = { t, d, heads, images, image: 3 * heads * d * t, head, part, scale: 1 / Math.sqrt(d) };
  const values = { ...vectors(t), Q: t % 4 === 0 ? storedInFours(qkv) : storedAs(qkv) };
  if (name === "base") {
    // Few pipelines serve all sizes: sums past d are of zeros and never stored.
    const O = d > 32 ? 64 : d > 16 ? 32 : 16;
    return base(device, buffers, params, { ...values, O, Out: storedAs(out) });
  }
  const laned = { ...values, ...lanes(device.subgroupSize) };
  if (!out.half) return subgroup(device, buffers, params, laned);
  // This variant keeps its running sums in out.
  const floats = images * heads * d * t;
  withWorkspace(device, floats, "attention's sums", (sums) => {
    subgroup(device, { ...buffers, out: sums }, params, laned);
    castKernel(device, { x: sums, out }, floats);
  });
}
