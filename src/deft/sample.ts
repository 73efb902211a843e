// DDIM sampling (Song et al. 2021) with any prediction of ε and x̂0: the prior alone, DEFT, the projected prior.
import { clamp, lincomb, type Engine, type Tensor } from "../tensor/index.ts";
import { condition, type ConditionOptions } from "./condition.ts";
import { impliedEps, predictX0, type Denoiser } from "./denoiser.ts";
import type { HTransform } from "./htransform.ts";
import type { Operator } from "./operator.ts";
import { ddimCoefficients, stepPairs, type Schedule } from "./schedule.ts";

/** ε and x̂0 at (x_t, t), one timestep for the whole batch. */
export type Predict = (xt: Tensor, t: number) => { eps: Tensor; x0: Tensor };

export interface DdimOptions {
  readonly engine: Engine;
  readonly schedule: Schedule;
  /** Ascending timesteps (schedule.ts). */
  readonly ts: readonly number[];
  readonly eta: number;
  readonly predict: Predict;
  /** x at the largest timestep; the sampler disposes of it. */
  readonly start: Tensor;
  /** z of step k; not asked for when c1 is 0. */
  readonly noise: (k: number) => Tensor;
  /** Sees each step's tensors, which die with the step: copy or read what is to be kept. */
  readonly onStep?: (
    k: number,
    step: { t: number; xt: Tensor; x0: Tensor; eps: Tensor },
  ) => Promise<void> | void;
}

/**
 * x_s = √ᾱ_s x̂0 + c1 z + c2 ε from the largest timestep down; returns the last x̂0 (s = −1: ᾱ = 1). Waits for the GPU each
 * step, so that work does not pile up.
 */
export async function sampleDdim(o: DdimOptions): Promise<Tensor> {
  const { engine, schedule } = o;
  let xt = o.start;
  let result: Tensor | undefined;
  for (const [k, { t, s }] of stepPairs(o.ts).entries()) {
    const { c1, c2 } = ddimCoefficients(schedule.alphaBar(t), schedule.alphaBar(s), o.eta);
    const step = engine.noGrad(() =>
      engine.scope(() => {
        const { eps, x0 } = o.predict(xt, t);
        const mean = lincomb(Math.sqrt(schedule.alphaBar(s)), x0, c2, eps);
        return { eps, x0, next: c1 > 0 ? lincomb(1, mean, c1, o.noise(k)) : mean };
      }),
    );
    if (o.onStep) await o.onStep(k, { t, xt, x0: step.x0, eps: step.eps });
    await engine.device.queue.pace();
    xt.dispose();
    step.eps.dispose();
    result?.dispose();
    [xt, result] = [step.next, step.x0];
  }
  xt.dispose();
  return result as Tensor;
}

/** The prior alone. */
export function priorPredict(schedule: Schedule, prior: Denoiser): Predict {
  return (xt, t) => {
    const ts = new Float32Array(xt.dim(0)).fill(t);
    const eps = prior(xt, ts);
    return { eps, x0: predictX0(schedule, xt, eps, ts) };
  };
}

/** The prior alone with x̂0 clamped to [-1, 1], as ADM draws pictures (clip_denoised; Dhariwal & Nichol 2021). */
export function clippedPredict(schedule: Schedule, prior: Denoiser): Predict {
  const predict = priorPredict(schedule, prior);
  return (xt, t) => {
    const x0 = clamp(predict(xt, t).x0, -1, 1);
    return { eps: impliedEps(schedule, xt, x0, new Float32Array(xt.dim(0)).fill(t)), x0 };
  };
}

/** The prior whose x̂0 is projected on the measurement each step: x̂0 + A†(y − A x̂0) where A is linear. No learning. */
export function projectedPredict(
  schedule: Schedule,
  prior: Denoiser,
  operator: Operator,
  y: Tensor,
): Predict {
  const predict = priorPredict(schedule, prior);
  return (xt, t) => {
    const { eps, x0 } = predict(xt, t);
    return { eps, x0: operator.project(x0, y) };
  };
}

/** DEFT: ε = ε_θ + h_φ; x̂0 of the result comes from the combined ε, the conditioning's from ε_θ alone. */
export function deftPredict(
  schedule: Schedule,
  prior: Denoiser,
  hTransform: Pick<HTransform, "forward">,
  operator: Operator,
  y: Tensor,
  options: ConditionOptions,
): Predict {
  return (xt, t) => {
    const ts = new Float32Array(xt.dim(0)).fill(t);
    const eps2 = prior(xt, ts);
    const inputs = condition(operator, xt, predictX0(schedule, xt, eps2, ts), y, options, ts);
    const eps = lincomb(1, eps2, 1, hTransform.forward(inputs, ts));
    return { eps, x0: predictX0(schedule, xt, eps, ts) };
  };
}
