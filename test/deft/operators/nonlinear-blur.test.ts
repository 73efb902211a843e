import { describe, expect, it } from "vitest";
import { resolveConfig } from "../../../src/deft/config/resolve.ts";
import { KernelWizard, kernelWizardConfig, randomKernelWizard } from "../../../src/deft/kernel-wizard.ts";
import type { Operator } from "../../../src/deft/operator.ts";
import { nonlinearBlur } from "../../../src/deft/operators/nonlinear-blur.ts";
import { makeTask } from "../../../src/deft/task.ts";
import { ParameterSet } from "../../../src/nn/parameter.ts";
import { initialise } from "../../../src/nn/state.ts";
import type { Engine } from "../../../src/tensor/index.ts";
import { randomArray, relativeError } from "../../helpers/check-op.ts";
import { dot } from "../../helpers/check-operator.ts";
import { testEngine } from "../../helpers/engine.ts";

const config = { features: 2, frontBlocks: 1, backBlocks: 1, kernelChannels: 3 };

async function withOperator(
  shape: readonly [number, number, number],
  fn: (operator: Operator, engine: Engine) => Promise<void>,
): Promise<void> {
  const engine = await testEngine();
  const before = engine.device.pool.stats.live;
  const network = new KernelWizard(config);
  const set = new ParameterSet(engine, network.declarations.list, { trainable: false });
  initialise(set, 4);
  const operator = engine.scope(() => {
    const made = nonlinearBlur(engine, network, engine.tensor([1, -2, 0.5], [1, 3, 1, 1]), shape);
    for (const t of made.held) t.keep();
    return made;
  });
  await fn(operator, engine);
  for (const t of operator.held) t.dispose();
  set.dispose();
  await engine.device.queue.idle();
  expect(engine.device.pool.stats.live - before, "live bytes after").toBe(0);
}

describe("deblur_nl", () => {
  it("random weights are those of a small network, the same each time", () => {
    const [weights, again] = [randomKernelWizard(), randomKernelWizard()];
    const { declarations } = new KernelWizard(kernelWizardConfig(weights));
    expect([...weights].map(([name, { shape }]) => [name, shape])).toEqual(
      declarations.list.map(({ name, shape }) => [name, shape]),
    );
    expect(again).toEqual(weights);
    const all = [...weights.values()].flatMap(({ data }) => [...data]);
    expect(new Set(all).size).toBeGreaterThan(all.length / 2);
  });

  const shape = [3, 20, 33] as const;
  const values = randomArray(2 * 3 * 20 * 33, 3, -0.9, 0.9);

  it("an image of other sides is the corner of the one that is continued at its edges", () =>
    withOperator(shape, async (operator, engine) => {
      const wide = new Float32Array(2 * 3 * 128 * 128).map((_, i) => {
        const [plane, row, column] = [i >> 14, (i >> 7) & 127, i & 127];
        return values[(plane * 20 + Math.min(row, 19)) * 33 + Math.min(column, 32)]!;
      });
      const small = engine.scope(() => operator.apply(engine.tensor(values, [2, ...shape])));
      let whole = new Float32Array();
      await withOperator([3, 128, 128], async (large) => {
        const y = engine.scope(() => large.apply(engine.tensor(wide, [2, 3, 128, 128])));
        whole = await y.read();
        y.dispose();
      });
      const corner = Float32Array.from({ length: values.length }, (_, i) => {
        const [plane, row, column] = [Math.floor(i / 660), Math.floor(i / 33) % 20, i % 33];
        return whole[(plane << 14) + (row << 7) + column]!;
      });
      expect(relativeError(await small.read(), corner)).toBeLessThan(1e-6);
      small.dispose();
    }));

  it("vjp agrees with differences of the value along itself", () =>
    withOperator(shape, async (operator, engine) => {
      const [x, v] = [values.map((a) => a / 2), randomArray(values.length, 9)];
      const tensor = (a: Float32Array<ArrayBuffer>) => engine.tensor(a, [2, ...shape]);
      const vjp = engine.scope(() => operator.vjp(tensor(x), tensor(v)));
      const g = await vjp.read();
      const h = 0.01 / Math.max(...g.map(Math.abs));
      const [ahead, behind] = engine.scope(() =>
        [h, -h].map((step) => operator.apply(tensor(x.map((a, i) => a + step * g[i]!)))),
      );
      const [a, b] = [await ahead!.read(), await behind!.read()];
      const numeric = dot(
        a.map((y, i) => (y - b[i]!) / (2 * h)),
        v,
      );
      // Values are float32 and the network has kinks: the step is neither small nor large.
      expect(Math.abs(numeric / dot(g, g) - 1)).toBeLessThan(1e-3);
      for (const t of [ahead, behind, vjp]) t?.dispose();
    }));

  it("the blur is that of blur_seed, whatever the seed of the run", async () => {
    const engine = await testEngine();
    const x = engine.tensor(randomArray(3 * 64, 1), [1, 3, 8, 8]);
    const blurred = async (...words: string[]) => {
      const own = ["algo.deg=deblur_nl", "likelihood.forward_op.weights=random", ...words];
      const task = makeTask(resolveConfig(own).config, 8, 3, null, { kernelWizard: randomKernelWizard() });
      const y = engine.noGrad(() => engine.scope(() => task.operator(engine, [0]).apply(x)));
      task.release();
      return y.read();
    };
    const [own, other] = [await blurred(), await blurred("exp.seed=5")];
    expect(other).toEqual(own);
    expect(await blurred("likelihood.forward_op.blur_seed=5")).not.toEqual(own);
  });

  it("refuses grey images and codes of another size", async () => {
    const engine = await testEngine();
    const network = new KernelWizard(config);
    const make = (size: readonly [number, number, number], code: number[]) => () =>
      engine.scope(() =>
        nonlinearBlur(
          engine,
          network,
          engine.tensor(new Float32Array(code.reduce((a, b) => a * b)), code),
          size,
        ),
      );
    expect(make([1, 16, 16], [1, 3, 1, 1])).toThrow("deblur_nl: images of 1 channels; expected 3");
    expect(make([3, 256, 130], [1, 3, 3, 1])).toThrow("expected [1, 3, 2, 2] for images 256x130");
  });
});
