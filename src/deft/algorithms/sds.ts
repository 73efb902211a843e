import { defineAlgorithm, type Problem } from "./algorithm.ts";
import { optimise, type Objective } from "./optimise.ts";
import { gradTermWeight, lr, obsWeight, sigmaX0, type OptionsOf } from "./options.ts";

export const sdsOptions = {
  lr: lr(0.1),
  gradTermWeight: gradTermWeight(0.25),
  obsWeight: obsWeight(1),
  sigmaX0: sigmaX0(0),
};
export type SdsOptions = OptionsOf<typeof sdsOptions>;

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
export const sds = defineAlgorithm("sds", 1, sdsOptions, (p, o) =>
  optimise(p, sdsObjective(p, o), randomLevels(p)),
);
