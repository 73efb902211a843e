// Launches movement.wgsl: whole vec4s where the innermost axis allows.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

/** Where the elements of a walk through `sizes` (outermost axis first) lie in the strided buffer. */
export interface Walk {
  readonly sizes: readonly number[];
  readonly strides: readonly number[];
  readonly start: number;
}

/** One axis of a padded result, outermost first in a list: size, and where the source's elements stand in it. */
export interface PadAxis {
  readonly size: number;
  readonly before: number;
  readonly every: number;
  /** Elements of the source along this axis. */
  readonly limit: number;
}

const grid = ({ n }: { n: number }, values: Values) => gridOf(n, values);
const shapes = combine(everyRun, each("RANK", 1, 2, 3, 4, 5, 6));
const floats: readonly Values[] = [
  { E: "f32", T: "vec4f" },
  { E: "f32", T: "f32" },
];
const halves: readonly Values[] = [
  { E: "f16", T: "vec4h" },
  { E: "f16", T: "f16" },
];
const every = combine(shapes, [...floats, ...halves]);
const gatherKernel = defineKernel(wgsl.movement, "gather", { grid, values: every });
const scatterKernel = defineKernel(wgsl.movement, "scatter", { grid, values: every });
const padKernel = defineKernel(wgsl.movement, "pad", {
  grid,
  values: combine(shapes, floats),
});

function walk(device: Device, x: HasBuffer, { sizes, strides, start }: Walk) {
  const vec =
    strides.at(-1) === 1 &&
    (sizes.at(-1) ?? 0) % 4 === 0 &&
    start % 4 === 0 &&
    strides.slice(0, -1).every((s) => s % 4 === 0);
  const unit = vec ? 4 : 1;
  const last = sizes.length - 1;
  const n = (d: number): number => (sizes[last - d] ?? 1) / (d === 0 ? unit : 1);
  const s = (d: number): number => (strides[last - d] ?? 0) / (d === 0 ? 1 : unit);
  const count = sizes.reduce((a, b) => a * b, 1) / unit;
  const params = {
    ...{ n: count, start: start / unit },
    ...{ n0: n(0), n1: n(1), n2: n(2), n3: n(3), n4: n(4), n5: n(5) },
    ...{ s0: s(0), s1: s(1), s2: s(2), s3: s(3), s4: s(4), s5: s(5) },
  };
  const types = { E: storedAs(x), T: vec ? storedInFours(x) : storedAs(x) };
  return { params, values: { ...runs(device, count), RANK: Math.max(1, sizes.length), ...types } };
}

/** out, in order, takes the elements of x that the walk names. */
export function gather(device: Device, buffers: { x: HasBuffer; out: HasBuffer }, w: Walk): void {
  const { params, values } = walk(device, buffers.x, w);
  gatherKernel(device, buffers, params, values);
}

/** The elements of x, in order, go to the places of out that the walk names. */
export function scatter(device: Device, buffers: { x: HasBuffer; out: HasBuffer }, w: Walk): void {
  const { params, values } = walk(device, buffers.x, w);
  scatterKernel(device, buffers, params, values);
}

/** Joins an axis that the source fills whole with the one outside of it, where that one has no gaps. */
function joined(axes: readonly PadAxis[]): PadAxis[] {
  const out: PadAxis[] = [];
  for (const a of axes) {
    const last = out.at(-1);
    const filled = a.before === 0 && a.every === 1 && a.limit === a.size;
    if (last && filled && last.every === 1)
      out[out.length - 1] = {
        size: last.size * a.size,
        before: last.before * a.size,
        every: 1,
        limit: last.limit * a.size,
      };
    else out.push(a);
  }
  return out;
}

/** out = x (contiguous) placed in a larger tensor of `fill`. */
export function pad(
  device: Device,
  buffers: { x: HasBuffer; out: HasBuffer },
  given: readonly PadAxis[],
  fill: number,
): void {
  const axes = joined(given);
  const inner = axes.at(-1);
  const vec =
    inner !== undefined &&
    inner.every === 1 &&
    [inner.size, inner.before, inner.limit].every((v) => v % 4 === 0);
  const scaled = axes.map((a, d) =>
    vec && d === axes.length - 1
      ? { size: a.size / 4, before: a.before / 4, every: 1, limit: a.limit / 4 }
      : a,
  );
  const last = axes.length - 1;
  const at = (d: number): PadAxis => scaled[last - d] ?? { size: 1, before: 0, every: 1, limit: 1 };
  const s = (d: number): number => (d === 0 ? 1 : s(d - 1) * at(d - 1).limit);
  const count = scaled.reduce((a, b) => a * b.size, 1);
  const six = [0, 1, 2, 3, 4, 5] as const;
  const [n, b, e, l] = [
    six.map((d) => at(d).size),
    six.map((d) => at(d).before),
    six.map((d) => at(d).every),
    six.map((d) => at(d).limit),
  ];
  const field = (v: readonly number[] | undefined, d: number): number => v?.[d] ?? 0;
  const params = {
    ...{ n: count, fill },
    ...{
      n0: field(n, 0),
      n1: field(n, 1),
      n2: field(n, 2),
      n3: field(n, 3),
      n4: field(n, 4),
      n5: field(n, 5),
    },
    ...{ s0: s(0), s1: s(1), s2: s(2), s3: s(3), s4: s(4), s5: s(5) },
    ...{
      b0: field(b, 0),
      b1: field(b, 1),
      b2: field(b, 2),
      b3: field(b, 3),
      b4: field(b, 4),
      b5: field(b, 5),
    },
    ...{
      e0: field(e, 0),
      e1: field(e, 1),
      e2: field(e, 2),
      e3: field(e, 3),
      e4: field(e, 4),
      e5: field(e, 5),
    },
    ...{
      l0: field(l, 0),
      l1: field(l, 1),
      l2: field(l, 2),
      l3: field(l, 3),
      l4: field(l, 4),
      l5: field(l, 5),
    },
  };
  const types = { E: "f32", T: vec ? "vec4f" : "f32" };
  const values = { ...runs(device, count), RANK: Math.max(1, axes.length), ...types };
  padKernel(device, buffers, params, values);
}
