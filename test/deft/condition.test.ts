// The guidance channel of the h-transform's input, with the factor that a task gives it.
import { describe, expect, test } from "vitest";
import { condition } from "../../src/deft/condition.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { deftPredict } from "../../src/deft/sample.ts";
import { makeTask } from "../../src/deft/task.ts";
import { affine, slice, type Tensor } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const SIDE = 8;
const T = 400;

/** x̂0 of DEFT at t = 400 with h = −g, a prior that says ε = 0, and random x_t and y; beside it x̂0 of the prior, y, and A x̂0. */
async function moved(...words: string[]) {
  const engine = await testEngine();
  const { config } = resolveConfig(["model=phantoms", "algo.scale_guidance=true", ...words]);
  const task = makeTask(config, SIDE, 1, null);
  const schedule = scheduleOf(config.diffusion);
  const [x0, y, seen, before] = engine.scope(() => {
    const operator = task.operator(engine, [0, 1]);
    const xt = engine.tensor(randomArray(2 * SIDE * SIDE, 1), [2, 1, SIDE, SIDE]);
    const size = operator.outShape.reduce((a, b) => a * b, 2);
    const random = engine.tensor(randomArray(size, 2), [2, ...operator.outShape]);
    // One that some picture has.
    const y = operator.apply(operator.pinv(random));
    const zero = (x: Tensor) => affine(x, 0, 0);
    const minusG = {
      forward: (inputs: Tensor) =>
        affine(slice(inputs, [0, inputs.dim(1) - 1, 0, 0], [2, inputs.dim(1), SIDE, SIDE]), -1, 0),
    };
    const { x0 } = deftPredict(schedule, zero, minusG, operator, y, task.condition)(xt, T);
    const before = affine(xt, 1 / Math.sqrt(schedule.alphaBar(T)), 0);
    return [x0, y, operator.apply(x0), before] as const;
  });
  const values = [await x0.read(), await y.read(), await seen.read(), await before.read()] as const;
  for (const t of [x0, y, seen, before]) t.dispose();
  return { values, alphaBar: schedule.alphaBar(T) };
}

describe("scale_guidance: a gate of 1 is a step onto the measurement", () => {
  test.each(["sr2", "sr4", "deno"])("%s without noise: A x̂0 = y", async (deg) => {
    const [, y, seen] = (await moved(`algo.deg=${deg}`, "algo.sigma_y=0")).values;
    seen.forEach((v, i) => expect(v).toBeCloseTo(y[i] as number, 4));
  });

  test.each(["deblur_uni", "deblur_gauss", "deblur_gauss-sr2"])(
    "%s by its pseudo-inverse: A x̂0 = y",
    async (deg) => {
      const words = [`algo.deg=${deg}`, "algo.sigma_y=0", "likelihood.convention=pinv"];
      const [, y, seen] = (await moved(...words)).values;
      seen.forEach((v, i) => expect(v).toBeCloseTo(y[i] as number, 4));
    },
  );

  test("with noise: the posterior mean of x ~ N(x̂0, (1−ᾱ)/ᾱ)", async () => {
    const sigma = 0.7;
    const { values, alphaBar } = await moved("algo.deg=deno", `algo.sigma_y=${sigma}`);
    const [x0, y, , before] = values;
    const variance = (1 - alphaBar) / alphaBar;
    const weight = variance / (variance + sigma ** 2);
    x0.forEach((v, i) => {
      const mean = (before[i] as number) * (1 - weight) + weight * (y[i] as number);
      expect(v).toBeCloseTo(mean, 4);
    });
  });
});

test("without use_loggrad the last channel is Aᵀy, A†y by the pseudo-inverse's convention", async () => {
  const engine = await testEngine();
  const { config } = resolveConfig(["model=phantoms", "algo.use_loggrad=false", "algo.scale_guidance=false"]);
  for (const convention of ["exact", "pinv"] as const) {
    const likelihood = { ...config.likelihood, convention };
    const task = makeTask({ ...config, likelihood }, SIDE, 1, null);
    const [last, want] = engine.scope(() => {
      const operator = task.operator(engine, [0]);
      const xt = engine.tensor(randomArray(SIDE * SIDE, 1), [1, 1, SIDE, SIDE]);
      const y = operator.apply(xt);
      const inputs = condition(operator, xt, xt, y, task.condition, [T]);
      const last = slice(inputs, [0, inputs.dim(1) - 1, 0, 0], [1, inputs.dim(1), SIDE, SIDE]);
      // sr4: Aᵀ is A† shared out to 16 pixels.
      return [last, affine(operator.pinv(y), convention === "pinv" ? 1 : 1 / 16, 0)] as const;
    });
    const [got, expected] = [await last.read(), await want.read()];
    got.forEach((v, i) => expect(v).toBeCloseTo(expected[i] as number, 5));
    for (const t of [last, want]) t.dispose();
  }
});

test("without scale_guidance g has no factor", () => {
  const { config } = resolveConfig(["algo.scale_guidance=false"]);
  expect(makeTask(config, SIDE, 3, null).condition.gain).toBeUndefined();
});
