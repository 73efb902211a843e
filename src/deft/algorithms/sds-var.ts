import { defineAlgorithm } from "./algorithm.ts";
import { optimise } from "./optimise.ts";
import { sigmaX0 } from "./options.ts";
import { randomLevels, sdsObjective, sdsOptions } from "./sds.ts";

/**
 * Score distillation of a variational Gaussian q = N(μ, σ_x0² I) with σ_x0 > 0: the prior's ε is compared with that of q's own noisy
 * marginal N(√ᾱ_t μ, (ᾱ_t σ_x0² + 1−ᾱ_t) I) instead of the drawn noise (Mardani et al. 2024, proposition 1). With σ_x0 = 0 it is sds.
 */
export const sdsVar = defineAlgorithm("sds_var", 1, { ...sdsOptions, sigmaX0: sigmaX0(0.1) }, (p, o) =>
  optimise(p, { ...sdsObjective(p, o), againstScore: true }, randomLevels(p)),
);
