// Elements a thread for the families that only move or map numbers: software adapters want long runs, GPUs one element.
// A million floats times a plus b on lavapipe: 2.5 to 2.7 ms in runs of 4 or 16, 3.5 one by one.
import type { Device } from "../gpu/device.ts";
import { grid1d } from "./kernel.ts";
import { each, type Values } from "./shader.ts";
import { countClass, defineVariants, type Variant } from "./variant.ts";

interface Runs extends Variant<number> {
  readonly per: number;
}

/** Below this many elements a run would leave processor cores without work. */
const LONG = 8192;

const variants: readonly Runs[] = [
  { name: "run16", wins: (device, n) => device.software && n >= LONG, per: 16 },
  { name: "run4", wins: (device) => device.software, per: 4 },
  { name: "base", per: 1 },
];
const pick = defineVariants("elementwise", variants, (n: number) => `n${countClass(n)}`);

/** The constant PER of such a kernel for n elements (vec4s where it moves vec4s). */
export function runs(device: Device, n: number): { PER: number } {
  return { PER: pick(device, n).per };
}

/** Every choice of it. */
export const everyRun = each("PER", ...variants.map((v) => v.per));

/** Grid of such a kernel: workgroups of 64 threads, PER elements each. */
export function gridOf(n: number, values: Values): [number, number] {
  return grid1d(Math.ceil(n / Number(values["PER"])), 64);
}
