// Group norm with scale-shift and SiLU. [4, 64, 32, 32] in 32 groups on lavapipe: 1.0 ms as `subgroup`, 3.5 as `base`; both ways 2.0 and 14.
import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import { countClass, defineVariants, type Variant } from "./variant.ts";
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
  eps: number;
}

const grid = ({ count }: Params): [number, number] => grid1d(count, 1);
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

/** What a launch needs beside the buffers; `size` counts the values of one channel. */
export interface GroupNormProblem {
  readonly batch: number;
  readonly channels: number;
  readonly groups: number;
  readonly size: number;
  readonly eps: number;
  readonly silu: boolean;
}

interface Problem extends GroupNormProblem {
  readonly pass: "forward" | "backward";
}
interface NormVariant extends Variant<Problem> {
  readonly kernels: typeof base | typeof subgroup;
  readonly values: (d: Device) => Record<string, number>;
}
const variants: readonly NormVariant[] = [
  {
    name: "subgroup",
    // A workgroup must be just one subgroup: software adapters keep to the size that they report.
    can: (d) => d.software && SUBGROUPS.includes(d.subgroupSize),
    kernels: subgroup,
    values: (d) => ({ WG: d.subgroupSize }),
  },
  { name: "base", kernels: base, values: () => ({}) },
];
const pick = defineVariants(
  "group-norm",
  variants,
  (q: Problem) => `${q.pass} ${q.channels}/${q.groups} of ${q.size} n${countClass(q.batch)}`,
);

type Names = "x" | "gamma" | "beta";
type Given = Record<Names, HasBuffer> & { scale_shift: HasBuffer | null };

function plan(device: Device, q: Problem, scaled: boolean) {
  const vec4 = q.size % 4 === 0;
  const cells = vec4 ? q.size / 4 : q.size;
  const variant = pick(device, q);
  return {
    kernels: variant.kernels,
    params: {
      groups: q.groups,
      channels: q.channels,
      cells,
      count: q.batch * q.groups,
      lanes: 2 ** Math.min(8, Math.floor(Math.log2(cells))),
      scaled: Number(scaled),
      silu: Number(q.silu),
      eps: q.eps,
    },
    values: {
      ...variant.values(device),
      V: vec4 ? 4 : 1,
      T: vec4 ? "vec4f" : "f32",
    },
  };
}

export function groupNormForward(
  device: Device,
  buffers: Given & { out: HasBuffer; moments: HasBuffer },
  problem: GroupNormProblem,
): void {
  const { kernels, params, values } = plan(
    device,
    { ...problem, pass: "forward" },
    buffers.scale_shift !== null,
  );
  const X = values.V === 4 ? storedInFours(buffers.x) : storedAs(buffers.x);
  kernels.forward(device, buffers, params, { ...values, X });
}

export function groupNormBackward(
  device: Device,
  buffers: Given & { dy: HasBuffer; stats: HasBuffer; out: HasBuffer; sums: HasBuffer },
  problem: GroupNormProblem,
): void {
  const { kernels, params, values } = plan(
    device,
    { ...problem, pass: "backward" },
    buffers.scale_shift !== null,
  );
  kernels.backward(device, buffers, params, values);
}

export const groupNormParameters = defineKernel(wgsl.groupNormGradients, "parameters", {
  grid: ({ channels }) => [Math.ceil(channels / 64)],
});
export const groupNormModulation = defineKernel(wgsl.groupNormGradients, "modulation", {
  grid: ({ batch, channels }) => grid1d(batch * channels, 64),
});
