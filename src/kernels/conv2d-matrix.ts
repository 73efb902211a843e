// Convolution of f16 features by f16 weights through subgroup matrices, where the user asked for them.
import type { Device } from "../gpu/device.ts";
import { spread, taps, windowOf, windows, type ConvShape, type ForwardBuffers } from "./conv2d-shape.ts";
import { defineKernel } from "./kernel.ts";
import { matrixSizes, matrixValues } from "./matrix.ts";
import { combine, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const weightForms: readonly Values[] = [
  { VEC: 1, W: "vec4h" },
  { VEC: 0, W: "f16" },
];
const forward = defineKernel(wgsl.conv2dMatrix, "forward", {
  grid: (p) => spread(p.n * p.oh * p.ow, p.o),
  values: combine(matrixValues, windows, weightForms),
});

export function matrixForward(device: Device, { x, w, bias, out }: ForwardBuffers, s: ConvShape): void {
  const window = windowOf(s);
  const form = (s.c * taps(window)) % 4 === 0 ? { VEC: 1, W: "vec4h" } : { VEC: 0, W: "f16" };
  const values = { ...window, ...form, ...matrixSizes(device) };
  forward(device, { input: x, weights: w, bias, out }, { ...s, biased: bias ? 1 : 0 }, values);
}
