import { int } from "../config/fields.ts";
import { UserError } from "../errors.ts";
import { stepPairs } from "../schedule.ts";
import { defineAlgorithm } from "./algorithm.ts";
import { optimise } from "./optimise.ts";
import { redDiffObjective, redDiffOptions } from "./reddiff.ts";

/**
 * RED-diff with `parallel` successive timesteps in one network call: the prior's term of a round is the mean over them at the same
 * μ. A round is one call of `parallel` times as many pictures, and there are that many fewer rounds; parallel 1 is reddiff.
 */
export const reddiffParallel = defineAlgorithm(
  "reddiff_parallel",
  null,
  { ...redDiffOptions, parallel: int(4, "timesteps in one network call", { min: 1 }) },
  (p, { parallel, ...o }) => {
    if (!Number.isInteger(parallel) || parallel < 1)
      throw new UserError(`reddiff_parallel: parallel is ${parallel}; expected a whole number from 1 on`);
    const ts = stepPairs(p.ts).map(({ t }) => t);
    const rounds = Array.from({ length: Math.ceil(ts.length / parallel) }, (_, k) =>
      ts.slice(k * parallel, (k + 1) * parallel),
    );
    return optimise(p, redDiffObjective(p, o), rounds);
  },
);
