import { describe, expect, test } from "vitest";
import { ShapeError, adamStep } from "../../src/tensor/index.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const lr = 0.01;

async function run(
  n: number,
  emaDecay: number | undefined,
  weightDecay: number,
  beta2: number,
): Promise<void> {
  const engine = await testEngine();
  const [beta1, eps] = [0.9, 1e-8];
  const p0 = randomArray(n, 1);
  const want = {
    params: Float64Array.from(p0),
    m: new Float64Array(n),
    v: new Float64Array(n),
    ema: Float64Array.from(randomArray(n, 2)),
  };
  const state = {
    params: engine.tensor(p0).keep(),
    grads: engine.tensor(new Float32Array(n)).keep(),
    m: engine.tensor(new Float32Array(n)).keep(),
    v: engine.tensor(new Float32Array(n)).keep(),
    ema: engine.tensor(randomArray(n, 2)).keep(),
  };
  for (let step = 1; step <= 5; step++) {
    const grads = randomArray(n, 10 + step);
    state.grads.write(grads);
    adamStep(engine, state, {
      step,
      lr: lr / step,
      beta1,
      beta2,
      eps,
      weightDecay,
      ...(emaDecay === undefined ? {} : { emaDecay }),
    });
    for (let i = 0; i < n; i++) {
      const g = (grads[i] as number) + weightDecay * (want.params[i] as number);
      want.m[i] = beta1 * (want.m[i] as number) + (1 - beta1) * g;
      want.v[i] = beta2 * (want.v[i] as number) + (1 - beta2) * g * g;
      const mHat = (want.m[i] as number) / (1 - beta1 ** step);
      const vHat = (want.v[i] as number) / (1 - beta2 ** step);
      want.params[i] = (want.params[i] as number) - ((lr / step) * mHat) / (Math.sqrt(vHat) + eps);
      if (emaDecay !== undefined)
        want.ema[i] = emaDecay * (want.ema[i] as number) + (1 - emaDecay) * (want.params[i] as number);
    }
  }
  for (const name of ["params", "m", "v", "ema"] as const)
    expect(relativeError(await state[name].read(), want[name]), name).toBeLessThan(5e-7);
  for (const t of Object.values(state)) t.dispose();
}

describe("adamStep", () => {
  for (const n of [1, 5, 255, 4 * 64 * 8 + 3, 40_000]) {
    test(`n = ${n}`, () => run(n, undefined, 0, 0.999));
    test(`n = ${n}, moving average`, () => run(n, 0.95, 0, 0.99));
  }
  test("weight decay", () => run(100, undefined, 0.1, 0.999));

  test("sizes that differ are refused", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [a, b] = [engine.tensor(new Float32Array(4)), engine.tensor(new Float32Array(5))];
      expect(() =>
        adamStep(
          engine,
          { params: a, grads: b, m: a, v: a },
          { step: 1, lr, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
        ),
      ).toThrow(ShapeError);
    });
  });
});
