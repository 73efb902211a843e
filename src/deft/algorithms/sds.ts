import { defineAlgorithm, type Problem } from "./algorithm.ts";
import { optimise, type Objective } from "./optimise.ts";

export interface SdsOptions {
  /** Learning rate of Adam, in the units of the picture. */
  readonly lr: number;
  readonly gradTermWeight: number;
  readonly obsWeight: number;
  /** Dispersion of q = N(μ, σ_x0² I). */
  readonly sigmaX0: number;
}

export const sdsDefaults: SdsOptions = { lr: 0.1, gradTermWeight: 0.25, obsWeight: 1, sigmaX0: 0 };

/** Score distillation's weight, w_t = gradTermWeight·(1−ᾱ_t). */
export const sdsObjective = ({ schedule }: Problem, o: SdsOptions): Objective => ({
  ...o,
  weight: (t) => o.gradTermWeight * (1 - schedule.alphaBar(t)),
});

/** As many rounds as there are timesteps, each at one of them, drawn uniformly. */
export function* randomLevels({ ts, draws }: Problem): Iterable<[number]> {
  for (let k = 0; k < ts.length; k++) yield [ts[Math.floor(draws.uniform() * ts.length)] as number];
}

/**
 * Score distillation sampling (Poole et al. 2023, eq. 3) with a measurement's term beside it: Adam on the picture, timesteps at
 * random. One network call a step. The result is the picture after the last step.
 */
export const sds = defineAlgorithm("sds", 1, sdsDefaults, (p, o) =>
  optimise(p, sdsObjective(p, o), randomLevels(p)),
);
