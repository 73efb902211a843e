// Fourier transforms along one axis: the radices, the roots of unity, one dispatch a radix.
import type { Device } from "../gpu/device.ts";
import { everyRun, gridOf, runs } from "./elementwise.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ count }: { count: number }, values: Values) => gridOf(count, values);
const every = combine(everyRun, each("R", 2, 4), each("REAL", 0, 1), each("T", "vec4f", "f32"));
const direct = defineKernel(wgsl.fft, "direct", { grid, values: every });
const butterfly = defineKernel(wgsl.fft, "butterfly", { grid, values: every });

/** Factors of n: fours, then primes in order; a large prime costs its own size an element. [1] for n = 1. */
export function radices(n: number): number[] {
  const out: number[] = [];
  let rest = n;
  while (rest % 4 === 0) {
    out.push(4);
    rest /= 4;
  }
  for (let f = 2; f * f <= rest; f++) for (; rest % f === 0; rest /= f) out.push(f);
  if (rest > 1 || out.length === 0) out.push(rest);
  return out;
}

/** cos and sin of 2 pi k / n for k < n, computed in float64 and kept with the device. */
function roots(device: Device, n: number): HasBuffer {
  const key = `fft-roots/${n}`;
  const known = device.cache.get(key) as GPUBuffer | undefined;
  if (known) return { buffer: known };
  const values = new Float32Array(2 * n);
  for (let k = 0; k < n; k++) {
    values[2 * k] = Math.cos((2 * Math.PI * k) / n);
    values[2 * k + 1] = Math.sin((2 * Math.PI * k) / n);
  }
  const buffer = device.gpu.createBuffer({
    ...{ size: values.byteLength, usage: GPUBufferUsage.STORAGE, label: key },
    mappedAtCreation: true,
  });
  new Float32Array(buffer.getMappedRange()).set(values);
  buffer.unmap();
  device.cache.set(key, buffer);
  return { buffer };
}

/** Complex numbers: real parts in re, imaginary parts in im from element `half` on; im null for real data. */
export interface ComplexBuffers {
  readonly re: HasBuffer;
  readonly im: HasBuffer | null;
  readonly half: number;
}

export interface AxisTransform {
  readonly batch: number;
  readonly n: number;
  readonly inner: number;
  /** -1 for the forward transform, 1 for the inverse. */
  readonly sign: -1 | 1;
  /** Zero frequency and origin in the middle instead of at the start. */
  readonly centered: boolean;
  readonly factor: number;
}

/** Transforms one axis of `from`; `next` gives room for a result of 2 * batch * n * inner numbers. Returns the last one. */
export function fftAxis<B extends HasBuffer>(
  device: Device,
  from: ComplexBuffers,
  { batch, n, inner, sign, centered, factor }: AxisTransform,
  next: () => B,
): B {
  const unit = inner % 4 === 0 ? 4 : 1;
  const total = (batch * n * inner) / unit;
  const list = radices(n);
  const middle = centered ? Math.floor(n / 2) : 0;
  let source = from;
  let m = 1;
  let out: B | undefined;
  list.forEach((r, k) => {
    const [isFirst, isLast] = [k === 0, k === list.length - 1];
    out = next();
    const shares = r === 2 || r === 4;
    const count = shares ? total / r : total;
    (shares ? butterfly : direct)(
      device,
      { re: source.re, im: source.im, w: roots(device, n), out },
      {
        ...{ count, total, n, inner: inner / unit, m, r, half: source.half / unit, sign },
        in_shift: isFirst ? middle : 0,
        out_shift: isLast ? middle : 0,
        factor: isLast ? factor : 1,
      },
      {
        ...runs(device, count),
        ...{ R: shares ? r : 4, REAL: Number(source.im === null), T: unit === 4 ? "vec4f" : "f32" },
      },
    );
    source = { re: out, im: out, half: batch * n * inner };
    m *= r;
  });
  return out as B;
}
