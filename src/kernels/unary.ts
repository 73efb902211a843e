// The table of unary.wgsl: names in the order of its constants.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

export const unaryOps = [
  ...["relu", "leakyRelu", "sigmoid", "tanh", "exp", "log", "sqrt", "rsqrt", "square", "abs", "sin", "cos"],
  ...["clamp", "affine", "reciprocal", "silu", "floor", "round"],
] as const;
export type UnaryOp = (typeof unaryOps)[number];

const grid = ({ n4 }: { n4: number }, values: Values) => gridOf(n4, values);
const every = combine(everyRun, each("OP", ...unaryOps.keys()));
const forward = defineKernel(wgsl.unary, "forward", { grid, values: every });
const backward = defineKernel(wgsl.unary, "backward", { grid, values: every });

/** Which function of the table, and its numbers. */
export interface UnaryFunction {
  readonly op: UnaryOp;
  readonly a: number;
  readonly b: number;
}

const launch = (device: Device, { op, a, b }: UnaryFunction, n: number) => {
  const n4 = Math.ceil(n / 4);
  return { params: { n4, a, b }, values: { ...runs(device, n4), OP: unaryOps.indexOf(op) } };
};

/** out = f(x), n elements. */
export function unaryForward(
  device: Device,
  f: UnaryFunction,
  buffers: { x: HasBuffer; out: HasBuffer },
  n: number,
): void {
  const { params, values } = launch(device, f, n);
  forward(device, buffers, params, values);
}

/** out = dy * f'(x), n elements. */
export function unaryBackward(
  device: Device,
  f: UnaryFunction,
  buffers: { x: HasBuffer; dy: HasBuffer; out: HasBuffer },
  n: number,
): void {
  const { params, values } = launch(device, f, n);
  backward(device, buffers, params, values);
}
