// Launches binary.wgsl: picks the indexing that the operands' strides allow.
import type { Device } from "../gpu/device.ts";
import { defineKernel, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { combine, each, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Axes of the result, outermost first, joined where both operands allow; a stride is 0 along a repeated axis. */
export interface BinaryPattern {
  readonly sizes: readonly number[];
  readonly strides: readonly (readonly number[])[];
}

/** Order of the operations in binary.wgsl. */
export const binaryOps = ["add", "sub", "mul", "div", "maximum"] as const;
export type BinaryOp = (typeof binaryOps)[number];

const grid = ({ n }: { n: number }, values: Values) => gridOf(n, values);
const patterns = (one: string, four: string): readonly Values[] => [
  ...combine(
    [
      { MODE: 0, T: four, Y: four },
      { MODE: 1, T: four, Y: one },
      { MODE: 2, T: four, Y: four },
    ],
    each("SWAP", 0, 1),
  ),
  { MODE: 3, T: one, Y: one, SWAP: 0 },
];
const ops = combine(everyRun, each("OP", ...binaryOps.keys()));
const floats = combine(ops, patterns("f32", "vec4f"));
const forward = defineKernel(wgsl.binary, "forward", {
  grid,
  values: [...floats, ...combine(ops, patterns("f16", "vec4h"))],
});
const backward = defineKernel(wgsl.binary, "backward", { grid, values: combine(floats, each("WRT", 0, 1)) });

interface Indexing {
  readonly n: number;
  readonly inner: number;
  readonly count: number;
  readonly mode: 0 | 1 | 2 | 3;
}

/** Indexing of y where x walks through the result without a jump; undefined where only strides say it. */
function simple(n: number, sizes: readonly number[], y: readonly number[]): Indexing | undefined {
  const n4 = Math.ceil(n / 4);
  const pattern = y.map((s) => (s === 0 ? "0" : "y")).join("");
  const last = sizes.at(-1) ?? 1;
  if (pattern === "y" || (pattern === "" && n === 1)) return { n: n4, inner: 1, count: 1, mode: 0 };
  if (pattern === "0") return { n: n4, inner: n4, count: 1, mode: 1 };
  if ((pattern === "y0" || pattern === "0y0") && last % 4 === 0)
    return {
      n: n4,
      inner: last / 4,
      count: sizes[sizes.length - 2] ?? 1,
      mode: 1,
    };
  if (pattern === "0y" && last % 4 === 0) return { n: n4, inner: 1, count: last / 4, mode: 2 };
  return undefined;
}

function isFull(sizes: readonly number[], strides: readonly number[]): boolean {
  let expected = 1;
  for (let d = sizes.length - 1; d >= 0; d--) {
    if (strides[d] !== expected) return false;
    expected *= sizes[d] ?? 1;
  }
  return true;
}

function plan({ sizes, strides }: BinaryPattern): Indexing & { swap: boolean } {
  const [a = [], b = []] = strides;
  const n = sizes.reduce((x, y) => x * y, 1);
  const swap = !isFull(sizes, a) && isFull(sizes, b);
  const fast = isFull(sizes, swap ? b : a) ? simple(n, sizes, swap ? a : b) : undefined;
  if (fast) return { ...fast, swap };
  return { n, inner: 1, count: 1, swap: false, mode: 3 };
}

function launch(device: Device, op: BinaryOp, pattern: BinaryPattern, out: HasBuffer) {
  const { n, inner, count, swap, mode } = plan(pattern);
  // Innermost axis first; axes that are not there have size 1.
  const last = pattern.sizes.length - 1;
  const size = (d: number): number => pattern.sizes[last - d] ?? 1;
  const stride = (k: 0 | 1, d: number): number => pattern.strides[k]?.[last - d] ?? 0;
  const params = {
    n,
    inner,
    count,
    n0: size(0),
    n1: size(1),
    n2: size(2),
    n3: size(3),
    n4: size(4),
    n5: size(5),
    x0: stride(0, 0),
    x1: stride(0, 1),
    x2: stride(0, 2),
    x3: stride(0, 3),
    x4: stride(0, 4),
    x5: stride(0, 5),
    y0: stride(1, 0),
    y1: stride(1, 1),
    y2: stride(1, 2),
    y3: stride(1, 3),
    y4: stride(1, 4),
    y5: stride(1, 5),
  };
  const [one, four] = [storedAs(out), storedInFours(out)];
  const types = { T: mode === 3 ? one : four, Y: mode === 1 || mode === 3 ? one : four };
  const values = { ...runs(device, n), OP: binaryOps.indexOf(op), MODE: mode, ...types, SWAP: Number(swap) };
  return { params, values, swap };
}

/** out = a op b over the pattern. */
export function binaryForward(
  device: Device,
  op: BinaryOp,
  pattern: BinaryPattern,
  { a, b, out }: { a: HasBuffer; b: HasBuffer; out: HasBuffer },
): void {
  const { params, values, swap } = launch(device, op, pattern, out);
  forward(device, { x: swap ? b : a, y: swap ? a : b, out }, params, values);
}

/** out = dy times the derivative by operand `wrt`; an operand that the derivative does not use may be null. */
export function binaryBackward(
  device: Device,
  op: BinaryOp,
  wrt: 0 | 1,
  pattern: BinaryPattern,
  { a, b, dy, out }: { a: HasBuffer | null; b: HasBuffer | null; dy: HasBuffer; out: HasBuffer },
): void {
  const { params, values, swap } = launch(device, op, pattern, out);
  backward(device, { x: swap ? b : a, y: swap ? a : b, dy, out }, params, { ...values, WRT: wrt });
}
