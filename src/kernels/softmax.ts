// Softmax and its logarithm along one axis.
import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import { each } from "./shader.ts";
import { countClass, defineVariants, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Lines of `length` values that lie `stride` apart. */
export interface Lines {
  readonly lines: number;
  readonly length: number;
  readonly stride: number;
}

const values = each("LOG", 0, 1);
const byLine = { grid: ({ lines }: Lines) => grid1d(lines, 64), values };
const byRow = { grid: ({ lines }: Lines) => grid1d(lines, 1), values };
const lines = {
  forward: defineKernel(wgsl.softmax, "lines_forward", byLine),
  backward: defineKernel(wgsl.softmax, "lines_backward", byLine),
};
const rows = {
  forward: defineKernel(wgsl.softmax, "rows_forward", byRow),
  backward: defineKernel(wgsl.softmax, "rows_backward", byRow),
};

interface Problem extends Lines {
  readonly pass: "forward" | "backward";
}
// A workgroup a row keeps a GPU busy, if the row keeps the workgroup busy; a CPU's lane is faster alone (not timed on a GPU yet).
const variants: readonly Variant<Problem>[] = [
  {
    name: "rows",
    can: (_, { stride }) => stride === 1,
    wins: (device, { length }) => !device.software && length >= 64,
  },
  { name: "base" },
];
const pick = defineVariants(
  "softmax",
  variants,
  ({ pass, lines, length, stride }: Problem) => `${pass} ${length} s${stride} n${countClass(lines)}`,
);

const kernelFor = <K extends Problem["pass"]>(device: Device, problem: Lines, pass: K) =>
  (pick(device, { ...problem, pass }).name === "rows" ? rows : lines)[pass];

/** out = softmax of each line of source, or its logarithm. */
export function softmaxForward(
  device: Device,
  buffers: { source: HasBuffer; out: HasBuffer },
  problem: Lines,
  log: boolean,
): void {
  kernelFor(device, problem, "forward")(device, buffers, { ...problem }, { LOG: Number(log) });
}

/** out = gradient of source, from the forward result and dy. */
export function softmaxBackward(
  device: Device,
  buffers: { result: HasBuffer; dy: HasBuffer; out: HasBuffer },
  problem: Lines,
  log: boolean,
): void {
  kernelFor(device, problem, "backward")(device, buffers, { ...problem }, { LOG: Number(log) });
}
