import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, storedInFours, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const main = defineKernel(wgsl.cast, "main", {
  grid: ({ n }, values) => gridOf(n, values),
  values: combine(everyRun, each("X", "vec4f", "vec4h"), each("Y", "vec4f", "vec4h")),
});

/** out = x, `size` numbers, in out's storage type. */
export function castKernel(device: Device, { x, out }: { x: HasBuffer; out: HasBuffer }, size: number): void {
  const n = Math.ceil(size / 4);
  main(device, { x, out }, { n }, { ...runs(device, n), X: storedInFours(x), Y: storedInFours(out) });
}
