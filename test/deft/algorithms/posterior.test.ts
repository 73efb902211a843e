// A Gaussian prior, noiseless measurements, 1,000 steps: draws have the mean and variance of the posterior.
import { describe, expect, test } from "vitest";
import type { Algorithm } from "../../../src/deft/algorithms/algorithm.ts";
import { ddrm } from "../../../src/deft/algorithms/ddrm.ts";
import { pgdm } from "../../../src/deft/algorithms/pgdm.ts";
import { testEngine } from "../../helpers/engine.ts";
import { moments, posterior, type Gaussian } from "./gaussian.ts";
import { blockPrior, freePrior, measurementOf, rowsOf, settingOf, type TaskName } from "./setting.ts";

const DRAWS = 1000;
const STEPS = 1000;

async function check<O extends object>(
  algorithm: Algorithm<O>,
  options: Partial<O>,
  task: TaskName,
  prior: Gaussian,
): Promise<void> {
  const engine = await testEngine();
  const before = engine.device.pool.stats.live;
  const setting = settingOf(engine, task, prior, { n: DRAWS, steps: STEPS, seed: 3 });
  const drawn = await algorithm.sample(setting.problem, options);
  const got = moments(await drawn.read(), DRAWS);
  const want = posterior(prior, rowsOf[task], measurementOf(task, prior), 0);
  want.mean.forEach((mean, i) => {
    const [variance, seen] = [want.variance[i] as number, (want.variance[i] as number) < 1e-9];
    const [dm, dv] = [
      Math.abs((got.mean[i] as number) - mean),
      Math.abs((got.variance[i] as number) - variance),
    ];
    // A pixel that is measured has no variance, but for the noise of the last timestep, √(1−ᾱ_0) = 0.01.
    const errors = seen
      ? [dm / 0.002, Math.sqrt(dv) / 0.011]
      : [dm / (4.5 * Math.sqrt(variance / DRAWS)), dv / (4.5 * variance * Math.sqrt(2 / (DRAWS - 1)))];
    expect(errors[0], `mean of pixel ${i}, in units of what is allowed`).toBeLessThan(1);
    expect(errors[1], `variance of pixel ${i}`).toBeLessThan(1);
  });
  expect(setting.network.calls, "network calls").toBe(STEPS);
  expect(setting.network.pictures).toBe(STEPS * DRAWS);
  drawn.dispose();
  setting.dispose();
  await engine.device.queue.idle();
  expect(engine.device.pool.stats.live, "live bytes").toBe(before);
}

describe("posterior of a Gaussian prior", () => {
  test("pgdm, super-resolution", () => check(pgdm, { eta: 0 }, "sr2", blockPrior));
  test("pgdm with noise, super-resolution", () => check(pgdm, { eta: 1 }, "sr2", blockPrior));
  test("pgdm without awd, in-painting", () => check(pgdm, { eta: 1, awd: false }, "inp", freePrior));
  test("ddrm, super-resolution", () => check(ddrm, { eta: 0 }, "sr2", blockPrior));
  test("ddrm, in-painting", () => check(ddrm, { eta: 0 }, "inp", freePrior));
});
