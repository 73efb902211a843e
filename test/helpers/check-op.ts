// One call checks an op: value against a float64 reference, gradients against central differences OF THE REFERENCE, poisoned
// memory (every output element is written), and live bytes unchanged afterwards.
import { expect } from "vitest";
import { sizeOf, type Engine, type Tensor } from "../../src/tensor/index.ts";
import { testEngine } from "./engine.ts";

export type F64 = Float64Array;

export interface CheckCase {
  readonly name?: string;
  /** Shapes of the tensor inputs; null for an absent optional one. */
  readonly shapes: readonly (readonly number[] | null)[];
  /** Uniform range of the inputs, per input or for all. */
  readonly range?: readonly [number, number] | readonly (readonly [number, number])[];
  /** Inputs given as data (for indices: Uint32Array or Int32Array, never differentiated). */
  readonly data?: readonly (
    Float32Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Int32Array<ArrayBuffer> | null
  )[];
  /** The op on tensors. */
  readonly run: (...inputs: Tensor[]) => Tensor;
  /** The op on float64 arrays in the order of the inputs: flat values. */
  readonly reference: (...inputs: F64[]) => F64;
  /** Shape of the result. */
  readonly out: readonly number[];
  /** Which inputs are differentiated (default: every f32 one); [] for ops without gradient. */
  readonly wrt?: readonly number[];
  /** Forces kernel variants; by default as the other tests. */
  readonly kernels?: string;
  /** ||a-b|| / ||b|| at most, for values (default 2e-6) and gradients (default 1e-5; central differences in float64 are good to 1e-8). */
  readonly tolerance?: number;
  readonly gradTolerance?: number;
}

/** Deterministic uniform numbers (mulberry32). */
export function randomArray(n: number, seed: number, lo = -1, hi = 1): Float32Array<ArrayBuffer> {
  let a = seed >>> 0;
  return Float32Array.from({ length: n }, () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return lo + (((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * (hi - lo);
  });
}

export function relativeError(got: ArrayLike<number>, want: ArrayLike<number>): number {
  let [d, w] = [0, 0];
  for (let i = 0; i < want.length; i++) {
    const [g, v] = [got[i] ?? NaN, want[i] ?? NaN];
    if (Number.isNaN(g) && !Number.isNaN(v)) return Infinity;
    d += (g - v) ** 2;
    w += v ** 2;
  }
  return Math.sqrt(d) / Math.max(Math.sqrt(w), 1e-30);
}

/** Fills the pool with NaN so that recycled memory cannot hide an element that a kernel does not write. */
export function poison(engine: Engine, sizes: readonly number[]): void {
  const made = sizes.flatMap((n) =>
    [0, 1, 2].map(() => engine.tensor(new Float32Array(n).fill(NaN), [n], "poison").keep()),
  );
  for (const t of made) t.dispose();
}

export async function checkOp(c: CheckCase): Promise<void> {
  const engine = await testEngine(c.kernels);
  const label = c.name ?? JSON.stringify(c.shapes);
  const range = (i: number): readonly [number, number] => {
    if (!c.range) return [-1, 1];
    return typeof c.range[0] === "number"
      ? (c.range as readonly [number, number])
      : ((c.range[i] as readonly [number, number]) ?? [-1, 1]);
  };
  const host = c.shapes.map(
    (s, i) => c.data?.[i] ?? (s ? randomArray(sizeOf(s), 17 + i, ...range(i)) : null),
  );
  const f64 = host.filter((h) => h !== null).map((h) => Float64Array.from(h));
  const present = host.map((h, i) => (h ? i : -1)).filter((i) => i >= 0);
  const wrt = c.wrt ?? present.filter((i) => host[i] instanceof Float32Array);
  const want = c.reference(...f64);
  const r = randomArray(want.length, 99);
  await engine.device.queue.idle();
  poison(engine, [want.length, ...present.map((i) => (host[i] as Float32Array).length)]);
  const before = engine.device.pool.stats.live;

  const { out, grads } = engine.scope(() => {
    const inputs = c.shapes.map((s, i) =>
      s && host[i] ? engine.tensor(host[i], s) : (null as unknown as Tensor),
    );
    for (const i of wrt) (inputs[i] as Tensor).requiresGrad = true;
    const result = c.run(...inputs);
    const seed = engine.tensor(r, result.shape);
    const g =
      wrt.length > 0
        ? engine.gradients(
            result,
            wrt.map((i) => inputs[i] as Tensor),
            seed,
          )
        : [];
    return { out: result, grads: g };
  });
  expect(out.shape, `${label}: shape`).toEqual(c.out);
  const got = out.dtype === "f32" ? await out.read() : Float32Array.from(await out.readU32());
  const error = relativeError(got, want);
  expect(error, `${label}: relative error of the value ${error}`).toBeLessThanOrEqual(c.tolerance ?? 2e-6);
  for (const [k, i] of wrt.entries()) {
    const g = grads[k];
    expect(g, `${label}: gradient of input ${i} exists`).not.toBeNull();
    const values = await (g as Tensor).read();
    const numeric = gradientOf(c.reference, f64, present.indexOf(i), r, values.length);
    const e = numeric.elements
      ? relativeError(
          numeric.at.map((j) => values[j] as number),
          numeric.values,
        )
      : Math.max(
          ...numeric.directions.map(
            (u, d) =>
              Math.abs(dot(values, u) - (numeric.values[d] as number)) / (norm(values) * norm(u) + 1e-30),
          ),
        );
    expect(e, `${label}: gradient of input ${i}, relative error ${e}`).toBeLessThanOrEqual(
      c.gradTolerance ?? 1e-5,
    );
    (g as Tensor).dispose();
  }
  out.dispose();
  await engine.device.queue.idle();
  expect(engine.device.pool.stats.live - before, `${label}: live bytes after`).toBe(0);
}

const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += (a[i] as number) * (b[i] as number);
  return s;
};
const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a));

interface Numeric {
  elements: boolean;
  at: number[];
  directions: Float32Array[];
  values: number[];
}

/** Central differences of sum(r * reference): each element when there are few, else along random directions. */
function gradientOf(
  reference: CheckCase["reference"],
  inputs: F64[],
  index: number,
  r: Float32Array,
  n: number,
): Numeric {
  const x = inputs[index] as F64;
  const h = 1e-5;
  const loss = (v: F64): number => dot(reference(...inputs.map((a, i) => (i === index ? v : a))), r);
  if (n <= 96) {
    const at = Array.from({ length: n }, (_, i) => i);
    const values = at.map((i) => {
      const [a, b] = [x.slice(), x.slice()];
      a[i] = (a[i] as number) + h;
      b[i] = (b[i] as number) - h;
      return (loss(a) - loss(b)) / (2 * h);
    });
    return { elements: true, at, directions: [], values };
  }
  const directions = [0, 1, 2, 3].map((d) => randomArray(n, 1000 + d));
  const values = directions.map(
    (u) =>
      (loss(x.map((v, i) => v + h * (u[i] as number))) - loss(x.map((v, i) => v - h * (u[i] as number)))) /
      (2 * h),
  );
  return { elements: false, at: [], directions, values };
}
