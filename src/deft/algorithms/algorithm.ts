// What all algorithms share: the problem they are given, the loop over timesteps, the way back through the prior.
import { lincomb, type Engine, type Shape, type Tensor } from "../../tensor/index.ts";
import { addNoise, predictX0, type Denoiser } from "../denoiser.ts";
import type { Guide } from "../guidance.ts";
import type { Operator } from "../operator.ts";
import type { OptionFields, OptionsOf } from "./options.ts";
import { ddimCoefficients, stepPairs, type Schedule } from "../schedule.ts";

/** Random numbers of one run in the order in which the algorithm asks for them. */
export interface Draws {
  /** Standard normal numbers; owned by the scope around. */
  normal(shape: Shape): Tensor;
  /** A number in [0, 1). */
  uniform(): number;
}

/** A step's tensors, which die with the step: copy or read what is to be kept. */
export interface Step {
  readonly t: number;
  /** What the network was given. */
  readonly xt: Tensor;
  /** What the network makes of it. */
  readonly x0: Tensor;
  /** The picture under optimisation, where there is one (reddiff and its kin): before the step's update, dispersed by σ_x0. */
  readonly picture?: Tensor;
}

/** One batch of measurements to restore. */
export interface Problem {
  readonly engine: Engine;
  readonly schedule: Schedule;
  /** ε_θ; algorithms know the prior by this alone, so whoever wraps it counts the network's calls. */
  readonly prior: Denoiser;
  readonly operator: Operator;
  /** [N, ...outShape], the caller's; lives until the algorithm is done. */
  readonly y: Tensor;
  /** Ascending timesteps (schedule.ts), walked from last to first. */
  readonly ts: readonly number[];
  readonly draws: Draws;
  /** The classifier that pulls `ddim` towards labels; the other algorithms have the measurement. */
  readonly guide?: Guide;
  /** One picture of the batch as many times as wanted: its operator (`held` is the caller's) and the prior under its label. */
  readonly single?: (picture: number, copies: number) => Pick<Problem, "operator" | "prior">;
  readonly onStep?: (k: number, step: Step) => Promise<void> | void;
  /** Sees each step of learning (Algorithm.learn) that is done. */
  readonly onLearn?: (done: number, total: number) => void;
}

/** What an algorithm has learned of a batch of measurements. */
export interface Learned {
  /** Samples of the same measurements, as those of Algorithm. */
  sample(problem: Problem): Promise<Tensor>;
  dispose(): void;
}

/** A method that restores pictures with the prior and the operator alone. */
export interface Algorithm<O extends object = object> {
  readonly name: string;
  /** Range and help of each option. */
  readonly fields: OptionFields;
  readonly defaults: O;
  /** The defaults with what differs for a degradation, by its bare word (`bareWord`). */
  defaultsFor(word: string): O;
  /** Network calls for each timestep, a batch counting one; null: set by the options. */
  readonly callsPerStep: number | null;
  /** The restored pictures [N, C, H, W], the caller's to dispose of. Options that are not given have their defaults. */
  sample(problem: Problem, options?: Partial<O>): Promise<Tensor>;
  /** Learns of the measurements what all their samples share; absent: there is nothing to learn. `sample` does both. */
  readonly learn?: (problem: Problem, options?: Partial<O>) => Promise<Learned>;
}

/** An algorithm from its parts: `run` gets complete options; `byTask` holds defaults that differ. */
export function defineAlgorithm<F extends OptionFields>(
  name: string,
  callsPerStep: number | null,
  fields: F,
  run: (problem: Problem, options: OptionsOf<F>) => Promise<Tensor>,
  byTask: Readonly<Record<string, Partial<OptionsOf<F>>>> = {},
): Algorithm<OptionsOf<F>> {
  const defaults = Object.fromEntries(
    Object.entries(fields).map(([option, field]) => [option, field.default]),
  ) as OptionsOf<F>;
  return {
    name,
    callsPerStep,
    fields,
    defaults,
    defaultsFor: (word) => ({ ...defaults, ...byTask[word] }),
    sample: (p, options) => run(p, { ...defaults, ...options }),
  };
}

/** [N, C, H, W] of the pictures that are sought. */
export const pictures = ({ y, operator }: Problem): number[] => [y.dim(0), ...operator.inShape];

/** One timestep for the whole batch. */
export const everywhere = (x: Tensor, t: number): Float32Array => new Float32Array(x.dim(0)).fill(t);

/** √ᾱ_T A†y + √(1−ᾱ_T) z at the largest timestep T. */
export function startFromPinv(p: Problem): Tensor {
  return p.engine.scope(() => {
    const x = p.operator.pinv(p.y);
    return addNoise(p.schedule, x, p.draws.normal(x.shape), everywhere(x, p.ts.at(-1) as number));
  });
}

/** √ᾱ_s x̂0 + c1 z + c2 ε (Song et al. 2021, eq. 12); z is drawn also where c1 is 0, so that the draws keep their order. */
export function ddimStep(
  p: Problem,
  { t, s }: { t: number; s: number },
  { x0, eps }: { x0: Tensor; eps: Tensor },
  eta: number,
): Tensor {
  const alphaS = p.schedule.alphaBar(s);
  const { c1, c2 } = ddimCoefficients(p.schedule.alphaBar(t), alphaS, eta);
  return lincomb(1, lincomb(Math.sqrt(alphaS), x0, c2, eps), c1, p.draws.normal(x0.shape));
}

/**
 * ε and x̂0 at x_t, and Jᵀv with J = ∂x̂0/∂x_t and v = cotangent(x̂0): one network call and one pass back through it. Nothing stays
 * recorded.
 */
export function pullBack(
  p: Problem,
  xt: Tensor,
  t: number,
  cotangent: (x0: Tensor) => Tensor,
): { eps: Tensor; x0: Tensor; pulled: Tensor } {
  const { engine } = p;
  return engine.withTape(() =>
    engine.scope(() => {
      const leaf = xt.alias();
      leaf.requiresGrad = true;
      const ts = everywhere(xt, t);
      const eps = p.prior(leaf, ts);
      const x0 = predictX0(p.schedule, leaf, eps, ts);
      const v = engine.noGrad(() => cotangent(x0));
      return { eps, x0, pulled: engine.gradients(x0, [leaf], v)[0] as Tensor };
    }),
  );
}

/** −½∇_x‖y − A x‖² = Jᵀ(y − A x), J the Jacobian of A at x. */
export function pullResidual({ operator, y }: Problem, x: Tensor): Tensor {
  return operator.vjp(x, lincomb(1, y, -1, operator.apply(x)));
}

/**
 * From the largest timestep down: `step` makes x_s of x_t; returns the last, x at s = −1. Nothing is recorded but what a step
 * records itself. Disposes of `start`; waits for the step before, so that work does not pile up.
 */
export async function walk(
  p: Problem,
  start: Tensor,
  step: (xt: Tensor, at: { t: number; s: number }) => { x0: Tensor; next: Tensor },
): Promise<Tensor> {
  const { engine } = p;
  let xt = start;
  for (const [k, at] of stepPairs(p.ts).entries()) {
    const { x0, next } = engine.noGrad(() => engine.scope(() => step(xt, at)));
    await p.onStep?.(k, { t: at.t, xt, x0 });
    await engine.device.queue.pace();
    xt.dispose();
    x0.dispose();
    xt = next;
  }
  return xt;
}
