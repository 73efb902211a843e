// The schedules of β and what x̂0 divides by; ᾱ, steps and coefficients are compared with recorded numbers (test/golden).
import { describe, expect, test } from "vitest";
import { predictX0 } from "../../src/deft/denoiser.ts";
import { betas, Schedule, type BetaSchedule } from "../../src/deft/schedule.ts";
import { testEngine } from "../helpers/engine.ts";

const optionsOf = (betaSchedule: BetaSchedule, numTimesteps: number) => ({
  ...{ betaSchedule, numTimesteps, betaStart: 0.001, betaEnd: 0.03 },
});

describe("betas", () => {
  test("cosine: 1 − f(t+1)/f(t), f(t) = cos²((t/T + 0.008)/1.008·π/2), 0.999 at most", () => {
    const f = (t: number) => Math.cos(((t / 1000 + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
    const got = betas(optionsOf("cosine", 1000));
    expect(got).toHaveLength(1000);
    expect(got[0]).toBeCloseTo(1 - f(1) / f(0), 14);
    expect(got[999]).toBe(0.999);
    // ᾱ of all but the last is a product whose factors cancel.
    let alphaBar = 1;
    got.slice(0, -1).forEach((beta, t) => {
      alphaBar *= 1 - beta;
      expect(alphaBar / (f(t + 1) / f(0)), `t = ${t}`).toBeCloseTo(1, 9);
    });
  });

  test("jsd: 1/T, 1/(T−1), …, 1", () => {
    const got = betas(optionsOf("jsd", 4));
    [1 / 4, 1 / 3, 1 / 2, 1].forEach((want, t) => expect(got[t]).toBeCloseTo(want, 14));
    expect(got).toHaveLength(4);
  });

  test("sigmoid: from σ(−6) to σ(6) of the way between the ends, half at the middle", () => {
    const got = betas(optionsOf("sigmoid", 5));
    const sigmoid = (v: number) => 1 / (1 + Math.exp(-v));
    [-6, -3, 0, 3, 6].forEach((v, t) => expect(got[t]).toBeCloseTo(0.001 + 0.029 * sigmoid(v), 14));
    expect(got).toHaveLength(5);
  });

  test("const: the last β everywhere", () => {
    expect(betas(optionsOf("const", 3))).toEqual([0.03, 0.03, 0.03]);
  });

  test("linear and quad: evenly spaced, and so their roots", () => {
    const [linear, quad] = [betas(optionsOf("linear", 3)), betas(optionsOf("quad", 3))];
    [0.001, 0.0155, 0.03].forEach((want, t) => expect(linear[t]).toBeCloseTo(want, 14));
    const middle = ((Math.sqrt(0.001) + Math.sqrt(0.03)) / 2) ** 2;
    [0.001, middle, 0.03].forEach((want, t) => expect(quad[t]).toBeCloseTo(want, 14));
  });
});

describe("jsd ends in pure noise", () => {
  const schedule = new Schedule(optionsOf("jsd", 10));

  test("ᾱ is the share of steps that are left, 1e-8 at least", () => {
    for (let t = -1; t < 9; t++) expect(schedule.alphaBar(t), `t = ${t}`).toBeCloseTo(1 - (t + 1) / 10, 6);
    expect(schedule.alphaBar(9)).toBe(1e-8);
  });

  test("x̂0 at its end is finite: (x_t − √(1−ᾱ) ε)/√ᾱ", async () => {
    const engine = await testEngine();
    const x0 = engine.scope(() => {
      const [xt, eps] = [engine.tensor([0.5, -0.25], [1, 2]), engine.tensor([0.25, 0.5], [1, 2])];
      return predictX0(schedule, xt, eps, [9]);
    });
    const got = await x0.read();
    const [a, b] = [1e-4, Math.sqrt(1 - 1e-8)];
    [(0.5 - b * 0.25) / a, (-0.25 - b * 0.5) / a].forEach((want, i) =>
      expect((got[i] as number) / want).toBeCloseTo(1, 5),
    );
    x0.dispose();
  });
});
