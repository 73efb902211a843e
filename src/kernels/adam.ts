import type { Device } from "../gpu/device.ts";
import { defineKernel, grid1d } from "./kernel.ts";
import { each, type Values } from "./shader.ts";
import { defineVariants, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ n4 }: { n4: number }, { RUN }: Values): [number, number] => grid1d(n4, 64 * Number(RUN));
const values = each("RUN", 1, 8);
export const adam = defineKernel(wgsl.adam, "adam", { grid, values, varies: true });
export const adamEma = defineKernel(wgsl.adam, "adam_ema", { grid, values, varies: true });

// Neighbouring lanes with neighbouring vec4s coalesce on a GPU; a CPU's lane prefers a run of its own
// (a million parameters on lavapipe: 2.6 ms, `base` 3.0).
interface AdamVariant extends Variant<null> {
  readonly values: Values;
}
const variants: readonly AdamVariant[] = [
  { name: "run", wins: (d) => d.software, values: { RUN: 8 } },
  { name: "base", values: { RUN: 1 } },
];
const pick = defineVariants<null, AdamVariant>("adam", variants, () => "");
/** The variant's constants, for the launches above. */
export const adamValues = (device: Device): Values => pick(device, null).values;
