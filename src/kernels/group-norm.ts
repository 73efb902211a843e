// Group norm with scale-shift and SiLU. [4, 64, 32, 32] in 32 groups on lavapipe: 1.0 ms as `subgroup`, 3.5 as `base`; both ways 2.0 and 14.
import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import { countClass, defineVariants, type Variant } from "./variant.ts";
import { withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

interface Params {
  groups: number;
  channels: number;
  /** Cells of a channel: its size, a quarter of it with `vec4`. */
  cells: number;
  /** Groups of all images. */
  count: number;
  /** Lanes that share a channel: the largest power of two up to its cells (the subgroup variant takes all). */
  lanes: number;
  /** 1 with scale_shift, else 0. */
  scaled: number;
  silu: number;
  /** Of a channel, in the variant of that name. */
  parts: number;
  eps: number;
}

const grid = ({ count }: Params): [number, number] => grid1d(count, 1);
const channelsOf = ({ count, channels, groups }: Params): number => count * (channels / groups);
const gridOfParts = (p: Params): [number, number] => grid1d(channelsOf(p) * p.parts, 1);
const forms = [
  { V: 4, T: "vec4f" },
  { V: 1, T: "f32" },
];
const storedForms = [
  { V: 4, T: "vec4f", X: "vec4f" },
  { V: 1, T: "f32", X: "f32" },
  { V: 4, T: "vec4f", X: "vec4h" },
  { V: 1, T: "f32", X: "f16" },
];
const base = {
  forward: defineKernel(wgsl.groupNorm, "forward", { grid, values: storedForms }),
  backward: defineKernel(wgsl.groupNorm, "backward", { grid, values: forms }),
};
/** Subgroup sizes that the kernels are compiled for. */
const SUBGROUPS = [4, 8, 16, 32, 64];
const lanes = each("WG", ...SUBGROUPS);
const subgroup = {
  forward: defineKernel(wgsl.groupNormSubgroup, "forward", { grid, values: combine(lanes, storedForms) }),
  backward: defineKernel(wgsl.groupNormSubgroup, "backward", { grid, values: combine(lanes, forms) }),
};
const parts = {
  measure: defineKernel(wgsl.groupNormParts, "measure", { grid: gridOfParts, values: storedForms }),
  apply: defineKernel(wgsl.groupNormParts, "apply", { grid: gridOfParts, values: storedForms }),
  slopes: defineKernel(wgsl.groupNormParts, "slopes", { grid: gridOfParts, values: forms }),
  finish: defineKernel(wgsl.groupNormParts, "finish", { grid: gridOfParts, values: forms }),
};

/** What a launch needs beside the buffers; `size` counts the values of one channel. */
export interface GroupNormProblem {
  readonly batch: number;
  readonly channels: number;
  readonly groups: number;
  readonly size: number;
  readonly eps: number;
  readonly silu: boolean;
}

type Given = Record<"x" | "gamma" | "beta", HasBuffer> & { scale_shift: HasBuffer | null };
type ForwardBuffers = Given & { out: HasBuffer; moments: HasBuffer };
type BackwardBuffers = Given & { dy: HasBuffer; stats: HasBuffer; out: HasBuffer; sums: HasBuffer };
type Launch<B> = (device: Device, buffers: B, params: Params, values: Values) => void;

interface Problem extends GroupNormProblem {
  readonly pass: "forward" | "backward";
}
interface NormVariant extends Variant<Problem> {
  readonly forward: Launch<ForwardBuffers>;
  readonly backward: Launch<BackwardBuffers>;
}

/** Workgroups that keep a large GPU busy, and values that make a part of a channel worth it. */
const [BUSY, WORTH] = [512, 4096];
/** Runs `fn` with the parts that each channel goes in, of about one length and none empty, and room for what each leaves. */
function inParts(
  device: Device,
  params: Params,
  values: Values,
  fn: (p: Params, space: HasBuffer) => void,
): void {
  const channels = channelsOf(params);
  const most = Math.floor((params.cells * Number(values["V"])) / WORTH);
  const length = Math.ceil(params.cells / Math.max(1, Math.min(most, Math.ceil(BUSY / channels))));
  const count = Math.ceil(params.cells / length);
  withWorkspace(device, 4 * channels * count, "group norm's partial sums", (space) =>
    fn({ ...params, parts: count }, space),
  );
}

const variants: readonly NormVariant[] = [
  {
    name: "subgroup",
    // A workgroup must be just one subgroup: software adapters keep to the size that they report.
    can: (d) => d.software && SUBGROUPS.includes(d.subgroupSize),
    forward: (d, b, params, values) => subgroup.forward(d, b, params, { ...values, WG: d.subgroupSize }),
    backward: (d, b, params, values) => subgroup.backward(d, b, params, { ...values, WG: d.subgroupSize }),
  },
  {
    name: "parts",
    wins: (d, q) =>
      !d.software &&
      q.size >= 1024 &&
      q.batch * q.groups < BUSY / 2 &&
      (q.size * q.channels) / q.groups >= 4 * WORTH,
    forward: (d, b, params, values) =>
      inParts(d, params, values, (p, space) => {
        parts.measure(d, { x: b.x, partial_out: space }, p, values);
        parts.apply(d, { ...b, partial_in: space }, p, values);
      }),
    backward: (d, b, params, values) =>
      inParts(d, params, values, (p, space) => {
        parts.slopes(d, { ...b, partial_out: space }, p, values);
        parts.finish(d, { ...b, partial_in: space }, p, values);
      }),
  },
  { name: "base", ...base },
];
const pick = defineVariants(
  "group-norm",
  variants,
  (q: Problem) => `${q.pass} ${q.channels}/${q.groups} of ${q.size} n${countClass(q.batch)}`,
);

function sizesOf(q: GroupNormProblem, scaled: boolean): { params: Params; values: { V: number; T: string } } {
  const vec4 = q.size % 4 === 0;
  const cells = vec4 ? q.size / 4 : q.size;
  return {
    params: {
      groups: q.groups,
      channels: q.channels,
      cells,
      count: q.batch * q.groups,
      lanes: 2 ** Math.min(8, Math.floor(Math.log2(cells))),
      scaled: Number(scaled),
      silu: Number(q.silu),
      parts: 1,
      eps: q.eps,
    },
    values: { V: vec4 ? 4 : 1, T: vec4 ? "vec4f" : "f32" },
  };
}

export function groupNormForward(device: Device, buffers: ForwardBuffers, problem: GroupNormProblem): void {
  const { params, values } = sizesOf(problem, buffers.scale_shift !== null);
  const X = values.V === 4 ? storedInFours(buffers.x) : storedAs(buffers.x);
  pick(device, { ...problem, pass: "forward" }).forward(device, buffers, params, { ...values, X });
}

export function groupNormBackward(device: Device, buffers: BackwardBuffers, problem: GroupNormProblem): void {
  const { params, values } = sizesOf(problem, buffers.scale_shift !== null);
  pick(device, { ...problem, pass: "backward" }).backward(device, buffers, params, values);
}

export const groupNormParameters = defineKernel(wgsl.groupNormGradients, "parameters", {
  grid: ({ channels }) => [Math.ceil(channels / 64)],
});
export const groupNormModulation = defineKernel(wgsl.groupNormGradients, "modulation", {
  grid: ({ batch, channels }) => grid1d(batch * channels, 64),
});
