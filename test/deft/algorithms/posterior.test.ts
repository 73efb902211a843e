// A Gaussian prior, noiseless measurements, 1,000 steps: draws have the mean and variance of the posterior.
import { describe, expect, test } from "vitest";
import type { Algorithm } from "../../../src/deft/algorithms/algorithm.ts";
import { ddrm } from "../../../src/deft/algorithms/ddrm.ts";
import { pgdm } from "../../../src/deft/algorithms/pgdm.ts";
import { testEngine } from "../../helpers/engine.ts";
import { moments, posterior, type Gaussian } from "./gaussian.ts";
import {
  blockPrior,
  freePrior,
  measurementOf,
  rowsOf,
  schedule,
  settingOf,
  type TaskName,
} from "./setting.ts";

const DRAWS = 1000;
const STEPS = 1000;

/** `shrunk`: factor of the posterior's variance where nothing is measured, 1 when the method draws the posterior. */
async function check<O extends object>(
  algorithm: Algorithm<O>,
  options: Partial<O>,
  task: TaskName,
  prior: Gaussian,
  shrunk: (variance: number) => number = () => 1,
): Promise<void> {
  const engine = await testEngine();
  const before = engine.device.pool.stats.live;
  const setting = settingOf(engine, task, prior, { n: DRAWS, steps: STEPS, seed: 3 });
  const drawn = await algorithm.sample(setting.problem, options);
  const got = moments(await drawn.read(), DRAWS);
  const want = posterior(prior, rowsOf[task], measurementOf(task, prior), 0);
  want.mean.forEach((mean, i) => {
    const [variance, seen] = [want.variance[i] as number, (want.variance[i] as number) < 1e-9];
    const expected = seen ? variance : variance * shrunk(variance);
    const [dm, dv] = [
      Math.abs((got.mean[i] as number) - mean),
      Math.abs((got.variance[i] as number) - expected),
    ];
    // A pixel that is measured has no variance, but for the noise of the last timestep, √(1−ᾱ_0) = 0.01.
    const errors = seen
      ? [dm / 0.002, Math.sqrt(dv) / 0.011]
      : [dm / (4.5 * Math.sqrt(expected / DRAWS)), dv / (4.5 * expected * Math.sqrt(2 / (DRAWS - 1)))];
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

/**
 * What ddrm's η makes of the variance v of a coordinate that is not measured: with d = x/√ᾱ − m and noise levels s_t, s_s a step is
 * d' = d (v + √(1−η²) s_s s_t)/(v + s_t²) + η s_s z.
 */
function ddrmShrinks(eta: number, v: number): number {
  const level = (t: number): number => Math.sqrt(1 / schedule.alphaBar(t) - 1);
  let variance = level(STEPS - 1) ** 2;
  for (let t = STEPS - 1; t >= 0; t--) {
    const [from, to] = [level(t), level(t - 1)];
    const slope = (v + Math.sqrt(1 - eta ** 2) * from * to) / (v + from ** 2);
    variance = variance * slope ** 2 + (eta * to) ** 2;
  }
  return variance / v;
}

describe("posterior of a Gaussian prior", () => {
  test("pgdm at its defaults, super-resolution", () => check(pgdm, {}, "sr2", blockPrior));
  test("pgdm with noise, super-resolution", () => check(pgdm, { eta: 1 }, "sr2", blockPrior));
  test("pgdm without awd, in-painting", () => check(pgdm, { eta: 1, awd: false }, "inp", freePrior));
  test("ddrm, super-resolution", () => check(ddrm, { eta: 0 }, "sr2", blockPrior));
  test("pgdm at its defaults, in-painting", () => check(pgdm, {}, "inp", freePrior));
  test("ddrm, in-painting", () => check(ddrm, { eta: 0 }, "inp", freePrior));
  test("ddrm at its defaults, in-painting: the posterior's mean, three quarters of its variance", async () => {
    const shrunk = (v: number) => ddrmShrinks(0.85, v);
    for (const v of freePrior.variance) {
      expect(shrunk(v)).toBeGreaterThan(0.7);
      expect(shrunk(v)).toBeLessThan((1 + Math.sqrt(1 - 0.85 ** 2)) / 2);
      expect(ddrmShrinks(0, v)).toBeGreaterThan(0.97);
    }
    await check(ddrm, {}, "inp", freePrior, shrunk);
  });
});
