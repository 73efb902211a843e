// One call checks a degradation: value against a float64 reference, the Jacobian's transpose against central differences of that
// reference, adjoint, pseudo-inverse, spectral form, poisoned memory, and live bytes unchanged afterwards.
import { expect } from "vitest";
import type { Operator } from "../../src/deft/operator.ts";
import { mul, sizeOf, slice, type Engine, type Tensor } from "../../src/tensor/index.ts";
import { poison, randomArray, relativeError, type F64 } from "./check-op.ts";
import { testEngine } from "./engine.ts";

export interface OperatorCase {
  readonly make: (engine: Engine) => Operator;
  /** Images of the batch. */
  readonly n?: number;
  /** A x of one image, flat, in float64; given where there is an independent one. */
  readonly reference?: (x: F64, image: number) => F64;
  /** The differentiable function whose Jacobian vjp is; default: the reference. */
  readonly smooth?: (x: F64, image: number) => F64;
  readonly isLinear: boolean;
  /** ‖A A† A x − A x‖/‖A x‖ at most; absent: not a pseudo-inverse in that sense. */
  readonly pinv?: number;
  /** ‖a − b‖/‖b‖ of the value at most. */
  readonly tolerance?: number;
  readonly vjpTolerance?: number;
}

const ADJOINT = 1e-5;

export async function checkOperator(c: OperatorCase): Promise<void> {
  const engine = await testEngine();
  const n = c.n ?? 2;
  await engine.device.queue.idle();
  const before = engine.device.pool.stats.live;
  const { results, inShape, outShape, singularValues } = engine.scope(() => {
    const operator = c.make(engine);
    const sizes = [n * sizeOf(operator.inShape), n * sizeOf(operator.outShape)];
    poison(engine, sizes);
    return { ...compute(engine, operator, n, c), ...shapes(operator) };
  });
  const read = new Map<string, Float32Array>();
  for (const [name, t] of Object.entries(results)) {
    read.set(name, await t.read());
    t.dispose();
  }
  const get = (name: string): Float32Array => read.get(name) as Float32Array;
  const [x, ax, y] = [get("x"), get("ax"), get("y")];
  const [inSize, outSize] = [sizeOf(inShape), sizeOf(outShape)];
  expect(ax.length, "size of the measurement").toBe(n * outSize);
  expect(ax.every(Number.isFinite), "A x is finite").toBe(true);
  if (c.reference) {
    const want = Array.from({ length: n }, (_, i) => [...c.reference!(imageOf(x, i, inSize), i)]).flat();
    below(relativeError(ax, want), c.tolerance ?? 2e-6, "A x");
  }
  if (c.isLinear) {
    const [left, right] = [dot(ax, y), dot(x, get("aty"))];
    below(Math.abs(left - right) / (norm(ax) * norm(y)), ADJOINT, "<Ax,y> - <x,Aty>");
    below(relativeError(get("vjp"), get("aty")), 1e-6, "vjp and adjoint");
  }
  if (c.pinv !== undefined) below(relativeError(get("apax"), ax), c.pinv, "A A+ A x");
  const smooth = c.smooth ?? c.reference;
  if (smooth)
    for (let image = 0; image < n; image++) {
      const parts = { x: imageOf(x, image, inSize), v: imageOf(y, image, outSize) };
      const error = differences((z) => smooth(z, image), parts, imageOf(get("vjp"), image, inSize));
      below(error, c.vjpTolerance ?? 1e-5, "vjp against differences");
    }
  if (singularValues) {
    below(relativeError(get("vvt"), x), 2e-6, "V Vt x");
    below(relativeError(get("uut"), y), 2e-6, "U Ut y");
    below(relativeError(get("vtv"), get("z")), 2e-6, "Vt V z");
    below(relativeError(get("usvt"), ax), 3e-6, "U S Vt x");
    expect(
      singularValues.every((s) => s >= 0),
      "singular values of 0 or more",
    ).toBe(true);
  }
  await engine.device.queue.idle();
  expect(engine.device.pool.stats.live - before, "live bytes after").toBe(0);
}

const shapes = ({ inShape, outShape, svd }: Operator) => ({
  ...{ inShape, outShape },
  singularValues: svd?.singularValues,
});

function compute(
  engine: Engine,
  operator: Operator,
  n: number,
  c: OperatorCase,
): { results: Record<string, Tensor> } {
  const random = (shape: readonly number[], seed: number) =>
    engine.tensor(randomArray(sizeOf([n, ...shape]), seed, -0.95, 0.95), [n, ...shape]);
  const [x, y] = [random(operator.inShape, 11), random(operator.outShape, 12)];
  const ax = operator.apply(x);
  const results: Record<string, Tensor> = { x, y, ax, vjp: operator.vjp(x, y) };
  if (c.isLinear) results["aty"] = operator.adjoint(y);
  expect(operator.pinv(ax).shape).toEqual(x.shape);
  expect(operator.residualGradient(y, x, "exact").shape).toEqual(x.shape);
  if (c.pinv !== undefined) results["apax"] = operator.apply(operator.pinv(ax));
  const { svd } = operator;
  if (svd) {
    const z = random([sizeOf(operator.inShape)], 13);
    const coefficients = svd.vt(x);
    const m = sizeOf(operator.outShape);
    const rows = svd.singularValues.length / m;
    const s = engine.tensor(Float32Array.from(svd.singularValues), [rows, m]);
    const seen = sliceColumns(coefficients, m);
    Object.assign(results, {
      ...{ z, vvt: svd.v(coefficients), vtv: svd.vt(svd.v(z)), uut: svd.u(svd.ut(y)) },
      usvt: svd.u(mul(seen, s)),
    });
  }
  return { results };
}

const sliceColumns = (t: Tensor, m: number): Tensor => slice(t, [0, 0], [t.dim(0), m]);

/** Relative error of <vjp, u> against central differences of <f(x + h u), v> along a few directions. */
function differences(f: (x: F64) => F64, { x, v }: { x: F64; v: F64 }, vjp: F64): number {
  const h = 1e-6;
  const errors = [0, 1, 2].map((d) => {
    const u = randomArray(x.length, 1000 + d);
    const [ahead, behind] = [1, -1].map((side) => dot(f(x.map((a, i) => a + side * h * u[i]!)), v));
    return Math.abs(dot(vjp, u) - (ahead! - behind!) / (2 * h)) / (norm(vjp) * norm(u) + 1e-30);
  });
  return Math.max(...errors);
}

const imageOf = (values: Float32Array, image: number, size: number): F64 =>
  Float64Array.from(values.subarray(image * size, (image + 1) * size));

function below(error: number, bound: number, what: string): void {
  expect(error, `${what}: ${error}`).toBeLessThanOrEqual(bound);
}

export const dot = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  let s = 0;
  for (let i = 0; i < a.length; i++) s += (a[i] as number) * (b[i] as number);
  return s;
};
export const norm = (a: ArrayLike<number>): number => Math.sqrt(dot(a, a));
