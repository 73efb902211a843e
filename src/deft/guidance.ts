// Classifier guidance of DDIM (Dhariwal & Nichol 2021, algorithm 2): a noisy classifier pulls ε towards its label.
import type { EncoderUNet } from "../nn/unet.ts";
import { lincomb, logSoftmax, mul, sum, type Tensor } from "../tensor/index.ts";
import { predictX0, type Denoiser } from "./denoiser.ts";
import type { Predict } from "./sample.ts";
import { ddimCoefficients, stepPairs, type Schedule } from "./schedule.ts";

/** Which way a classifier pulls, and how strongly. */
export interface Guide {
  readonly classifier: EncoderUNet;
  /** One class number an image. */
  readonly labels: readonly number[];
  /** classifier_scale. */
  readonly strength: number;
}

export interface ClassifierGuidance extends Guide {
  /** cond_awd: the strength follows the step (classifierScale). */
  readonly isAdaptive: boolean;
  /** The steps and the η of the sampler; the adaptive strength depends on them. */
  readonly ts: readonly number[];
  readonly eta: number;
}

/** √ᾱ_s/(√ᾱ_s − c2·√ᾱ_t/√(1−ᾱ_t)), c2 of the DDIM step from t to s: the factor of cond_awd. */
export function classifierScale(alphaT: number, alphaS: number, eta: number): number {
  const { c2 } = ddimCoefficients(alphaT, alphaS, eta);
  return Math.sqrt(alphaS) / (Math.sqrt(alphaS) - (c2 * Math.sqrt(alphaT)) / Math.sqrt(1 - alphaT));
}

/** ∇_x log p(label | x_t, t) of each image, [N, C, H, W]; no gradient of the classifier's weights is computed. */
export function classifierGradient(
  classifier: EncoderUNet,
  xt: Tensor,
  t: ArrayLike<number>,
  labels: readonly number[],
): Tensor {
  const { engine } = xt;
  return engine.scope(() =>
    engine.withTape(() => {
      const x = xt.alias();
      x.requiresGrad = true;
      const logits = classifier.forward(x, t);
      const classes = logits.dim(1);
      const chosen = new Float32Array(labels.length * classes);
      labels.forEach((label, i) => (chosen[i * classes + label] = 1));
      const logP = sum(mul(logSoftmax(logits), engine.tensor(chosen, [labels.length, classes])));
      return engine.gradients(logP, [x])[0] as Tensor;
    }),
  );
}

/** ε = ε_θ(x_t, t) − √(1−ᾱ_t)·strength·scale·∇_x log p(label | x_t, t), scale 1 or classifierScale; x̂0 from that ε. */
export function guidedPredict(schedule: Schedule, prior: Denoiser, guidance: ClassifierGuidance): Predict {
  const { classifier, labels, strength, isAdaptive, eta } = guidance;
  const next = new Map(stepPairs(guidance.ts).map(({ t, s }) => [t, s]));
  return (xt, t) => {
    const ts = new Float32Array(xt.dim(0)).fill(t);
    const [alphaT, alphaS] = [schedule.alphaBar(t), schedule.alphaBar(next.get(t) ?? -1)];
    const scale = isAdaptive ? classifierScale(alphaT, alphaS, eta) : 1;
    const gradient = classifierGradient(classifier, xt, ts, labels);
    const eps = lincomb(1, prior(xt, ts), -Math.sqrt(1 - alphaT) * strength * scale, gradient);
    return { eps, x0: predictX0(schedule, xt, eps, ts) };
  };
}
