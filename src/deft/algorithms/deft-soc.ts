// DEFT from one observation (soc.ts) as an algorithm: an h-transform is learned for each picture of the batch, then all are sampled.
import type { EmaOptions } from "../../nn/ema.ts";
import { ParameterSet } from "../../nn/parameter.ts";
import { initialise } from "../../nn/state.ts";
import { concat, GradientError, lincomb, reshape, slice, type Tensor } from "../../tensor/index.ts";
import { condition, type ConditionOptions } from "../condition.ts";
import { int, oneOf } from "../config/fields.ts";
import { predictX0 } from "../denoiser.ts";
import { UserError } from "../errors.ts";
import { HTransform, type HTransformConfig } from "../htransform.ts";
import type { Predict } from "../sample.ts";
import { timesteps } from "../schedule.ts";
import { StochasticControl } from "../soc.ts";
import { everywhere, pictures, type Algorithm, type Learned, type Problem } from "./algorithm.ts";
import { sampled } from "./ddim.ts";
import type { OptionsOf } from "./options.ts";

export const socOptions = {
  objective: oneOf(["relative_entropy", "vargrad"], "relative_entropy", "loss of deft_soc"),
  batchSize: int(8, "trajectories an iteration", { min: 1 }),
  iterations: int(1000, "optimisation steps", { min: 1 }),
};
export type SocMethodOptions = OptionsOf<typeof socOptions>;

/** What a run decides on beside the options. */
export interface SocParts {
  readonly network: HTransformConfig;
  readonly condition: ConditionOptions;
  /** Steps of the chain; samples are drawn at the same. */
  readonly numSteps: number;
  readonly lr: number;
  readonly lrAnnealing: boolean;
  readonly ema: EmaOptions;
  /** Samples with the averaged weights. */
  readonly useAverage: boolean;
  /** Of the network's start and of the simulated trajectories; the same for every picture. */
  readonly seed: number;
}

/** Iterations between looks at the loss. */
const LOOK = 10;

/**
 * deft_soc: for each picture of the batch an h-transform learned by stochastic control from its measurement alone, then the chain
 * with η = 1. Learning takes iterations × numSteps calls of the prior and of the h-transform for each picture, and as many again
 * where steps are run once more for their gradient; sampling one of the prior a step, and one of the h-transform for each picture.
 * `calls` counts those of the h-transforms. Throws UserError where σ_y is 0, where the loss is not finite, and where the objective
 * needs a gradient that the operator does not have.
 */
export function deftSoc(parts: SocParts): {
  readonly algorithm: Algorithm<SocMethodOptions>;
  readonly calls: () => number;
} {
  let calls = 0;
  const defaults: SocMethodOptions = {
    objective: socOptions.objective.default,
    batchSize: socOptions.batchSize.default,
    iterations: socOptions.iterations.default,
  };
  const learn = async (p: Problem, options: Partial<SocMethodOptions> = {}): Promise<Learned> => {
    const o = { ...defaults, ...options };
    const { engine, schedule } = p;
    const hTransform = new HTransform(parts.network);
    const set = new ParameterSet(engine, hTransform.declarations.list, { trainable: true });
    const forward = (inputs: Tensor, t: ArrayLike<number>): Tensor => {
      calls++;
      return hTransform.forward(inputs, t);
    };
    const weights: Tensor[][] = [];
    const dispose = () => {
      hTransform.release();
      for (const t of weights.flat()) t.dispose();
      set.dispose();
    };
    const ts = timesteps(schedule.numTimesteps, 0, parts.numSteps);
    const n = p.y.dim(0);
    try {
      for (let k = 0; k < n; k++) {
        initialise(set, parts.seed);
        const done = k * o.iterations;
        const onStep = (step: number) => p.onLearn?.(done + step, n * o.iterations);
        weights.push(await learnOne(p, k, { ...parts, ...o, set, forward, onStep }));
      }
    } catch (error) {
      dispose();
      throw error;
    }
    const sample = (q: Problem): Promise<Tensor> => {
      const predict: Predict = (xt, t) => {
        const all = everywhere(xt, t);
        const eps = q.prior(xt, all);
        const x0Hat = predictX0(schedule, xt, eps, all);
        const inputs = condition(q.operator, xt, x0Hat, q.y, parts.condition, all);
        const own = weights.map((flat, k) => set.with(flat, () => forward(pictureOf(inputs, k), [t])));
        const both = lincomb(1, eps, 1, concat(own, 0));
        return { eps: both, x0: predictX0(schedule, xt, both, all) };
      };
      return sampled({ ...q, ts }, 1, predict, q.draws.normal(pictures(q)));
    };
    return { sample, dispose };
  };
  const algorithm: Algorithm<SocMethodOptions> = {
    ...{ name: "deft_soc", callsPerStep: null, fields: socOptions, defaults, learn },
    defaultsFor: () => defaults,
    async sample(p, options) {
      const learned = await learn(p, options);
      try {
        return await learned.sample(p);
      } finally {
        learned.dispose();
      }
    },
  };
  return { algorithm, calls: () => calls };
}

interface OneObservation extends SocParts, SocMethodOptions {
  readonly set: ParameterSet;
  readonly forward: HTransform["forward"];
  readonly onStep: (done: number) => void;
}

/** The weights that are learned for picture k, in flat tensors of the set's layout. */
async function learnOne(p: Problem, k: number, o: OneObservation): Promise<Tensor[]> {
  const { engine, schedule } = p;
  const { set, forward, onStep, condition: conditions, useAverage } = o;
  const { operator, prior } = p.single?.(k, o.batchSize) ?? p;
  const y = engine.noGrad(() =>
    engine.scope(() => {
      const own = pictureOf(p.y, k);
      return concat(new Array<Tensor>(o.batchSize).fill(own), 0);
    }),
  );
  const hTransform = { forward };
  const problem = { engine, schedule, prior, operator, y, condition: conditions, hTransform, set };
  const control = new StochasticControl(problem, o);
  try {
    for (let step = 1; step <= o.iterations; step++) {
      const loss = iteration(control);
      const looks = step % LOOK === 0 || step === o.iterations;
      const value = looks ? (await loss.read())[0] : 0;
      loss.dispose();
      checkLoss(value ?? NaN, step);
      await engine.device.queue.pace();
      onStep(step);
    }
    const flat = useAverage ? control.trainer.average : set.flat;
    return flat.map((t) => {
      const copy = engine.empty([t.size], "f32", "learned").keep();
      copy.copyFrom(t);
      return copy;
    });
  } finally {
    control.trainer.dispose();
    y.dispose();
    if (p.single) for (const t of operator.held) t.dispose();
  }
}

function iteration(control: StochasticControl): Tensor {
  try {
    return control.step();
  } catch (error) {
    if (!(error instanceof GradientError)) throw error;
    throw new UserError(
      "deft_soc: the operator's gradient has no gradient itself, which relative_entropy needs; pass algo.soc.objective=vargrad",
      { cause: error },
    );
  }
}

function checkLoss(value: number, step: number): void {
  if (!Number.isFinite(value))
    throw new UserError(
      `deft_soc: the loss is ${value} at iteration ${step}; lower algo.finetune_args.lr, or raise algo.soc.sigma`,
    );
}

/** Picture k of a batch, as a batch of one. */
function pictureOf(batch: Tensor, k: number): Tensor {
  const [n, ...rest] = batch.shape as [number, ...number[]];
  const flat = reshape(batch, [n, -1]);
  return reshape(slice(flat, [k, 0], [k + 1, flat.dim(1)]), [1, ...rest]);
}
