// The factor of the guidance channel in closed form, by degradation and convention.
import { describe, expect, test } from "vitest";
import { socCondition } from "../../src/cli/methods.ts";
import { guidanceGain } from "../../src/deft/condition.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";

const SIDE = 8;
const TIMES = [17, 100, 400, 999];

/** ᾱ_t of the schedule linear1000, in float64. */
function alphaBar(t: number): number {
  let product = 1;
  for (let i = 0; i <= t; i++) product *= 1 - (1e-4 + ((0.02 - 1e-4) * i) / 999);
  return product;
}

/** λσ²/(‖A‖² + σ²λ²), or λ/‖A‖² without noise. */
function wanted(t: number, sigma: number, norm: number): number {
  const lambda = Math.sqrt(alphaBar(t) / (1 - alphaBar(t)));
  return sigma === 0 ? lambda / norm : (lambda * sigma ** 2) / (norm + sigma ** 2 * lambda ** 2);
}

function taskOf(...words: string[]) {
  const isColor = words.includes("algo.deg=color");
  const { config } = resolveConfig([
    ...[
      `model=${isColor ? "embedded" : "phantoms"}`,
      "algo.scale_guidance=true",
      "likelihood.forward_op.num_angles=12",
      ...words,
    ],
  ]);
  return { config, task: makeTask(config, SIDE, isColor ? 3 : 1, generatedMasks(config, SIDE)) };
}

function expectGain(gain: ((t: number) => number) | undefined, sigma: number, norm: number): void {
  for (const t of TIMES) expect((gain?.(t) ?? NaN) / wanted(t, sigma, norm), `t = ${t}`).toBeCloseTo(1, 4);
}

test("guidanceGain: λ = 1, with noise and without", () => {
  expect(guidanceGain(0.5, 0.7, 4)).toBeCloseTo(0.49 / (0.25 + 0.49), 12);
  expect(guidanceGain(0.5, 0.7, 1)).toBeCloseTo(0.49 / 1.49, 12);
  expect(guidanceGain(0.5, 0, 4)).toBeCloseTo(4, 12);
});

/** ‖A‖² as each convention's Aᵀ has it. */
const norms: readonly (readonly [word: string, exact: number, deft: number])[] = [
  ["deno", 1, 1],
  ["inp", 1, 1],
  ["sr2", 1 / 4, 1 / 4],
  ["sr4", 1 / 16, 1 / 16],
  ["bicubic2", 1 / 4, 1 / 4],
  ["bicubic4", 1 / 16, 1 / 16],
  ["color", 1 / 3, 1 / 3],
  // S rays of length S at each of 12 angles; "deft" filters.
  ["ct", 12 * SIDE, 1],
  // A is half of its magnitudes, and "deft" leaves one of the two halves out.
  ["phase_retrieval", 1 / 4, 1 / 2],
  ["sr2-deno", 1 / 4, 1 / 4],
  ["ct-sr2", 3 * SIDE, 1 / 4],
];

describe.each(norms)("%s", (deg, exact, deft) => {
  const conventions = [
    ["exact", exact],
    ["deft", deft],
    ["pinv", 1],
  ] as const;
  // Phases that were not measured have no pseudo-inverse at x_t.
  const taken = conventions.slice(0, deg === "phase_retrieval" ? 2 : 3);
  test.each(taken)("by the convention %s", (convention, norm) => {
    for (const sigma of [0, 0.7]) {
      const words = [`algo.deg=${deg}`, `algo.sigma_y=${sigma}`, `likelihood.convention=${convention}`];
      expectGain(taskOf(...words).task.condition.gain, sigma, norm);
    }
  });
});

describe("the noise that deft_soc takes for a measurement's", () => {
  const words = ["algo=deft_soc", "algo.deg=sr2"];

  test("algo.soc.sigma where there is none: in the guidance and in its factor", () => {
    const assumed = taskOf(...words, "algo.sigma_y=0", "algo.soc.sigma=0.3");
    const condition = socCondition(assumed.config, assumed.task);
    const { gain: wantedGain, ...rest } = taskOf(...words, "algo.sigma_y=0.3").task.condition;
    expect(condition).toMatchObject({ ...rest, sigmaY: 0.3 });
    for (const t of TIMES) expect(condition.gain?.(t)).toBe(wantedGain?.(t));
    expectGain(condition.gain, 0.3, 1 / 4);
  });

  test("the measurement's own where there is some", () => {
    const { config, task } = taskOf(...words, "algo.sigma_y=0.2", "algo.soc.sigma=0.3");
    expect(socCondition(config, task)).toBe(task.condition);
    expect(task.condition.sigmaY).toBe(0.2);
  });
});
