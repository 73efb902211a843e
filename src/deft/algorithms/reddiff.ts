import { oneOf } from "../config/fields.ts";
import { stepPairs } from "../schedule.ts";
import { defineAlgorithm, type Problem } from "./algorithm.ts";
import { optimise, type Objective } from "./optimise.ts";
import { gradTermWeight, lr, obsWeight, sigmaX0, type OptionsOf } from "./options.ts";

/** How the weight of the prior's term follows r = √(1−ᾱ_t)/√ᾱ_t. */
const denoiseWeights = {
  linear: (r: number) => r,
  sqrt: Math.sqrt,
  square: (r: number) => r * r,
  log: Math.log1p,
  trunc_linear: (r: number) => Math.min(r, 1),
  power2over3: (r: number) => r ** (2 / 3),
  const: () => 1,
} as const;

/** Names of the weightings. */
export const denoiseTermWeights = Object.keys(denoiseWeights) as (keyof typeof denoiseWeights)[];

export const redDiffOptions = {
  lr: lr(0.1),
  gradTermWeight: gradTermWeight(0.25),
  obsWeight: obsWeight(1),
  denoiseTermWeight: oneOf(denoiseTermWeights, "linear", "weight over time"),
  sigmaX0: sigmaX0(0),
};
export type RedDiffOptions = OptionsOf<typeof redDiffOptions>;

/** The loss of RED-diff: w_t = gradTermWeight·f(√(1−ᾱ_t)/√ᾱ_t), f the option denoiseTermWeight. */
export function redDiffObjective({ schedule }: Problem, o: RedDiffOptions): Objective {
  const f = denoiseWeights[o.denoiseTermWeight];
  const weight = (t: number): number => {
    const alpha = schedule.alphaBar(t);
    return o.gradTermWeight * f(Math.sqrt(1 - alpha) / Math.sqrt(alpha));
  };
  return { ...o, weight };
}

/**
 * RED-diff (Mardani et al. 2024, algorithm 1): Adam on μ, timesteps from the largest down. One network call a step, no gradient
 * through the prior. The result is μ after the last step.
 */
export const reddiff = defineAlgorithm("reddiff", 1, redDiffOptions, (p, o) =>
  optimise(
    p,
    redDiffObjective(p, o),
    stepPairs(p.ts).map(({ t }) => [t]),
  ),
);
