// DEFT's h-transform for one observation, without a data set: stochastic control of the sampling chain (Denker et al. 2024, app. G).
import type { EmaOptions } from "../nn/ema.ts";
import type { ParameterSet } from "../nn/parameter.ts";
import {
  add,
  affine,
  checkpoint,
  concat,
  lincomb,
  mean,
  mul,
  randomNormal,
  reshape,
  slice,
  square,
  sub,
  sum,
  variance,
  type Engine,
  type Tensor,
} from "../tensor/index.ts";
import { streamOf, streams } from "./batches.ts";
import { condition, type ConditionOptions } from "./condition.ts";
import { predictX0, type Denoiser } from "./denoiser.ts";
import { UserError } from "./errors.ts";
import type { HTransform } from "./htransform.ts";
import type { Operator } from "./operator.ts";
import { deftPredict, type Predict } from "./sample.ts";
import { ddimCoefficients, stepPairs, timesteps, type Schedule } from "./schedule.ts";
import { learningRate, Trainer } from "./trainer.ts";

export type SocObjective = "relative_entropy" | "vargrad";

export interface SocOptions {
  readonly objective: SocObjective;
  /** Steps of the simulated chain. */
  readonly numSteps: number;
  readonly iterations: number;
  readonly lr: number;
  readonly lrAnnealing: boolean;
  readonly ema: EmaOptions;
  readonly seed: number;
}

export const socDefaults: SocOptions = {
  objective: "relative_entropy",
  numSteps: 100,
  iterations: 1000,
  lr: 1e-3,
  lrAnnealing: true,
  ema: { beta: 0.999, updateAfterStep: 400, updateEvery: 10 },
  seed: 0,
};

export interface SocProblem {
  readonly engine: Engine;
  readonly schedule: Schedule;
  readonly prior: Denoiser;
  readonly operator: Operator;
  /** The observation, once for each trajectory of a batch: [N, ...outShape]; the caller's. */
  readonly y: Tensor;
  /** sigmaY > 0. */
  readonly condition: ConditionOptions;
  /** The network that is trained, and its memory. */
  readonly hTransform: Pick<HTransform, "forward">;
  readonly set: ParameterSet;
}

/** A trajectory's numbers, [N] each: the loss is the mean of their sum, or its variance. */
interface Trajectory {
  /** Σ_t of what following h instead of the prior costs. */
  readonly path: Tensor;
  /** −log p(y | x_0) without its normaliser. */
  readonly terminal: Tensor;
}

/**
 * Trains h on trajectories of the DDIM chain with η = 1, x_s = μ_φ(x_t) + c1 z, from x_T ~ N(0, I). μ_φ − μ_θ = κ h with
 * κ = c2 − √ᾱ_s √(1−ᾱ_t)/√ᾱ_t. The last step gives x_0 = x̂0. Each step is run again in the backward pass, so memory is one step
 * and the states.
 * - relative_entropy: mean of Σ_t ‖κ h‖²/(2 c1²) + ‖y − A x_0‖²/(2σ²), gradient through the trajectory. Its minimum is
 *   −log ∫ p(x) exp(−‖y − A x‖²/(2σ²)) dx.
 * - vargrad: variance over the batch of Σ_t (‖x_s − μ_θ‖² − ‖x_s − μ_φ‖²)/(2 c1²) + ‖y − A x_0‖²/(2σ²), the trajectory fixed
 *   (Richter et al. 2020).
 */
export class StochasticControl {
  readonly trainer: Trainer;
  readonly #p: SocProblem;
  readonly #o: SocOptions;

  constructor(problem: SocProblem, options: SocOptions) {
    this.#p = problem;
    this.#o = options;
    if (!(problem.condition.sigmaY > 0))
      throw new UserError(
        `deft_soc: the measurement's noise is ${problem.condition.sigmaY}; expected more than 0; pass algo.soc.sigma`,
      );
    if (options.objective === "vargrad" && problem.y.dim(0) < 2)
      throw new UserError(
        "algo.soc.batch_size: 1 trajectory has no variance; expected 2 or more for vargrad",
      );
    this.trainer = new Trainer(problem.set, options.ema);
  }

  /** Timesteps of the chain, ascending: samples are drawn at the same. */
  get ts(): number[] {
    return timesteps(this.#p.schedule.numTimesteps, 0, this.#o.numSteps);
  }

  /** Records the next iteration; the loss is the caller's to read and dispose of. */
  step(): Tensor {
    const { lr, iterations, lrAnnealing } = this.#o;
    const k = this.trainer.steps;
    return this.trainer.step(learningRate(lr, k, iterations, lrAnnealing), () => this.loss(k));
  }

  /** The objective on the trajectories of iteration `iteration`. */
  loss(iteration: number): Tensor {
    const { engine } = this.#p;
    return engine.scope(() => {
      const { path, terminal } = this.#simulate(iteration);
      const total = add(path, terminal);
      return this.#o.objective === "vargrad" ? variance(total, { axes: null }) : mean(total, { axes: null });
    });
  }

  /** DEFT's prediction with the trained h, for a batch of any size of the same observation. */
  predict(operator: Operator, y: Tensor, useAverage: boolean): Predict {
    const { schedule, prior, hTransform, condition: options } = this.#p;
    const predict = deftPredict(schedule, prior, hTransform, operator, y, options);
    return useAverage ? (xt, t) => this.trainer.withAverage(() => predict(xt, t)) : predict;
  }

  #simulate(iteration: number): Trajectory {
    const { engine, operator, y, set } = this.#p;
    const shape = [y.dim(0), ...operator.inShape];
    const isFixed = this.#o.objective === "vargrad";
    const parameters = set.parameters.map((p) => p.value);
    // Drawn by number, so that a step that is run again sees the same.
    const { ts } = this;
    const draw = (k: number): Tensor =>
      randomNormal(engine, shape, { seed: this.#o.seed, stream: trajectoryStream(iteration, k, ts.length) });
    let x = draw(0);
    let path: Tensor | undefined;
    for (const [k, at] of stepPairs(ts).entries()) {
      const run = () =>
        unpacked(
          checkpoint((xt) => this.#step(xt as Tensor, at, draw(k + 1)), [x], parameters),
          shape,
        );
      // The last step has no term of its own: with the trajectory fixed nothing of it wants a gradient.
      const step = engine.scope(() => (isFixed && at.s < 0 ? engine.noGrad(run) : run()));
      // A handle of its own has no history.
      x = isFixed ? step.x.alias() : step.x;
      path = path ? add(path, step.cost) : step.cost;
    }
    return { path: path as Tensor, terminal: this.#terminal(x) };
  }

  /** x_s and the step's cost, packed; at s = −1 x̂0 and 0. */
  #step(xt: Tensor, { t, s }: { t: number; s: number }, z: Tensor): Tensor {
    const { schedule, prior, hTransform, operator, y, condition: options } = this.#p;
    const isFixed = this.#o.objective === "vargrad";
    const ts = new Float32Array(xt.dim(0)).fill(t);
    const eps = prior(xt, ts);
    const x0Hat = predictX0(schedule, xt, eps, ts);
    const h = hTransform.forward(condition(operator, xt, x0Hat, y, options, ts), ts);
    const [alphaT, alphaS] = [schedule.alphaBar(t), schedule.alphaBar(s)];
    const { c1, c2 } = ddimCoefficients(alphaT, alphaS, 1);
    const kappa = c2 - (Math.sqrt(alphaS) * Math.sqrt(1 - alphaT)) / Math.sqrt(alphaT);
    const prediction = lincomb(Math.sqrt(alphaS), x0Hat, c2, eps);
    if (c1 === 0) {
      const free = xt.engine.tensor(new Float32Array(ts.length));
      return packed(lincomb(1, prediction, kappa, h), free);
    }
    const drift = affine(h, kappa, 0);
    if (!isFixed) {
      const next = lincomb(1, lincomb(1, prediction, 1, drift), c1, z);
      return packed(next, affine(perImage(square(drift)), 1 / (2 * c1 ** 2), 0));
    }
    // x_s − μ_θ, with the drift of now; x_s − μ_φ = that minus the drift that the gradient is of.
    const moved = lincomb(1, drift.alias(), c1, z);
    const cost = sub(perImage(square(moved)), perImage(square(sub(moved, drift))));
    return packed(lincomb(1, prediction, 1, moved), affine(cost, 1 / (2 * c1 ** 2), 0));
  }

  /** ‖y − A x_0‖²/(2σ²) of each image, with the gradient −Jᵀ(y − A x_0)/σ² of the operator's own. */
  #terminal(x0: Tensor): Tensor {
    const { engine, operator, y, condition: options } = this.#p;
    const scale = 1 / options.sigmaY ** 2;
    const { value, gradient } = engine.noGrad(() => {
      const residual = sub(y, operator.apply(x0));
      return { value: perImage(square(residual)), gradient: operator.vjp(x0, residual) };
    });
    const change = perImage(mul(gradient, sub(x0, x0.alias())));
    return lincomb(scale / 2, value, -scale, change);
  }
}

/** The stream of draw k of an iteration with so many steps: 0 is x_T, then one a step. */
export const trajectoryStream = (iteration: number, k: number, steps: number): number =>
  streamOf(streams.noise, iteration * (steps + 1) + k);

/** Sums over everything but the images: [N]. */
const perImage = (t: Tensor): Tensor => sum(reshape(t, [t.dim(0), -1]), { axes: [1] });

/** Picture and number of each image in one tensor, [N, D + 1]. */
function packed(x: Tensor, cost: Tensor): Tensor {
  const n = x.dim(0);
  return concat([reshape(x, [n, -1]), reshape(cost, [n, 1])], 1);
}

function unpacked(both: Tensor, shape: readonly number[]): { x: Tensor; cost: Tensor } {
  const [n, width] = [both.dim(0), both.dim(1)];
  return {
    x: reshape(slice(both, [0, 0], [n, width - 1]), shape),
    cost: reshape(slice(both, [0, width - 1], [n, width]), [n]),
  };
}
