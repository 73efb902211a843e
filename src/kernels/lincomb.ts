import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const kernel = defineKernel(wgsl.lincomb, "lincomb", {
  grid: ({ n }: { n: number }, values: Values) => gridOf(n, values),
  values: combine(everyRun, each("A_LIST", 0, 1), each("B_LIST", 0, 1), each("T", "vec4f", "f32")),
});

/** out = a x + b y over n elements; a list holds one number for each `inner` elements. */
export function lincombForward(
  device: Device,
  { x, y, out }: { x: HasBuffer; y: HasBuffer; out: HasBuffer },
  [a, b]: readonly [number | HasBuffer, number | HasBuffer],
  n: number,
  inner: number,
): void {
  const lists = [a, b].some((c) => typeof c !== "number");
  const unit = lists && inner % 4 !== 0 ? 1 : 4;
  const count = Math.ceil(n / unit);
  const list = (c: number | HasBuffer): HasBuffer | null => (typeof c === "number" ? null : c);
  const value = (c: number | HasBuffer): number => (typeof c === "number" ? c : 0);
  kernel(
    device,
    { x, y, out, a_list: list(a), b_list: list(b) },
    { n: count, inner: Math.max(1, Math.floor(inner / unit)), a: value(a), b: value(b) },
    {
      ...runs(device, count),
      A_LIST: Number(typeof a !== "number"),
      B_LIST: Number(typeof b !== "number"),
      T: unit === 4 ? "vec4f" : "f32",
    },
  );
}
