import type { Tensor } from "../../tensor/index.ts";
import { bool } from "../config/fields.ts";
import { guidedPredict } from "../guidance.ts";
import { priorPredict, sampleDdim, type Predict } from "../sample.ts";
import { defineAlgorithm, pictures, startFromPinv, type Algorithm, type Problem } from "./algorithm.ts";
import { eta, type OptionsOf } from "./options.ts";

/** DDIM with the problem's draws. */
export function sampled(p: Problem, eta: number, predict: Predict, start: Tensor): Promise<Tensor> {
  const { onStep } = p;
  return sampleDdim({
    engine: p.engine,
    schedule: p.schedule,
    ts: p.ts,
    eta,
    predict,
    start,
    noise: () => p.draws.normal(pictures(p)),
    ...(onStep && { onStep }),
  });
}

/**
 * The prior alone (Song et al. 2021): pictures that the measurement says nothing about; with sdedit they start at A†y with noise
 * (Meng et al. 2022). With the problem's guide a classifier pulls them towards its labels (guidance.ts), with condAwd by a strength
 * that follows the step. One network call a step.
 */
export const ddim = defineAlgorithm(
  "ddim",
  1,
  {
    eta: eta(0.5),
    sdedit: bool(false, "start from A†y with noise"),
    condAwd: bool(false, "strength of the classifier's guidance follows the step"),
  },
  (p, o) => {
    const { schedule, prior, guide, ts } = p;
    const predict = guide
      ? guidedPredict(schedule, prior, { ...guide, ts, eta: o.eta, isAdaptive: o.condAwd })
      : priorPredict(schedule, prior);
    return sampled(p, o.eta, predict, o.sdedit ? startFromPinv(p) : p.draws.normal(pictures(p)));
  },
);

/** The option of `deft`. */
export const deftOptions = { eta: eta(0) };

/** DEFT with a trained h-transform (sample.ts: deftPredict): one call of the prior and one of the h-transform a step. */
export const deft = (predict: (p: Problem) => Predict): Algorithm<OptionsOf<typeof deftOptions>> =>
  defineAlgorithm("deft", 1, deftOptions, (p, o) =>
    sampled(p, o.eta, predict(p), p.draws.normal(pictures(p))),
  );
