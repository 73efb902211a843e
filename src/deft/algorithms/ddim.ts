import type { Tensor } from "../../tensor/index.ts";
import { priorPredict, sampleDdim, type Predict } from "../sample.ts";
import { defineAlgorithm, pictures, startFromPinv, type Algorithm, type Problem } from "./algorithm.ts";

function sampled(p: Problem, eta: number, predict: Predict, start: Tensor): Promise<Tensor> {
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
 * (Meng et al. 2022). One network call a step.
 */
export const ddim = defineAlgorithm("ddim", 1, { eta: 0.5, sdedit: false }, (p, { eta, sdedit }) =>
  sampled(p, eta, priorPredict(p.schedule, p.prior), sdedit ? startFromPinv(p) : p.draws.normal(pictures(p))),
);

/** DEFT with a trained h-transform (sample.ts: deftPredict): one call of the prior and one of the h-transform a step. */
export const deft = (predict: (p: Problem) => Predict): Algorithm<{ readonly eta: number }> =>
  defineAlgorithm("deft", 1, { eta: 0 }, (p, { eta }) =>
    sampled(p, eta, predict(p), p.draws.normal(pictures(p))),
  );
