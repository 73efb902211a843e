// Fine-tuning of the h-transform beside a frozen prior (spec section 4; Denker et al. 2024, algorithm 1).
import { ParameterSet } from "../nn/parameter.ts";
import { initialise } from "../nn/state.ts";
import type { UNetConfig } from "../nn/unet.ts";
import { mul, randomNormal, type Engine, type Tensor } from "../tensor/index.ts";
import { drawTimesteps, drawTimestepsFrom, streamOf, streams, upload, type Batch } from "./batches.ts";
import type { Config } from "./config/schema.ts";
import type { Denoiser } from "./denoiser.ts";
import { HTransform, type HTransformConfig } from "./htransform.ts";
import { measure } from "./likelihood.ts";
import { deftLossData, squaredError } from "./loss.ts";
import type { Operator } from "./operator.ts";
import type { Prior } from "./prior.ts";
import { deftPredict, type Predict } from "./sample.ts";
import { timestepDistribution, type Schedule } from "./schedule.ts";
import type { Task } from "./task.ts";
import { learningRate, Trainer } from "./trainer.ts";

export interface FineTuningOptions {
  readonly engine: Engine;
  readonly schedule: Schedule;
  /** ε_θ, with classes where it takes them, and the size of the pictures that it knows. */
  readonly prior: Pick<Prior, "denoise"> &
    Partial<Pick<Prior, "labelled">> & {
      readonly network: { readonly config: Pick<UNetConfig, "inChannels" | "imageSize"> };
    };
  readonly network: HTransformConfig;
  readonly task: Task;
  readonly config: Config;
  readonly totalSteps: number;
}

export class FineTuning {
  readonly hTransform: HTransform;
  readonly trainer: Trainer;
  readonly #o: FineTuningOptions;
  readonly #planned: ReturnType<Trainer["planned"]>;
  /** Of the timesteps; null: all alike. */
  readonly #cumulative: Float64Array | null;

  constructor(o: FineTuningOptions) {
    this.#o = o;
    const { timestep_power: power } = o.config.algo.finetune_args;
    this.#cumulative = power > 0 ? timestepDistribution(o.schedule, power) : null;
    this.hTransform = new HTransform(o.network);
    const set = new ParameterSet(o.engine, this.hTransform.declarations.list, { trainable: true });
    initialise(set, o.config.exp.seed);
    const { beta, update_after_step: updateAfterStep, update_every: updateEvery } = o.config.algo.ema;
    this.trainer = new Trainer(set, { beta, updateAfterStep, updateEvery });
    this.#planned = this.trainer.planned(this.#loss);
  }

  /** Of the conditioning, z − ε_θ and, where errors are weighted, their weights by image; then t as the h-transform takes it. */
  readonly #loss = (conditioning: Tensor, target: Tensor, ...rest: Tensor[]): Tensor => {
    const [weight, ...t] = this.#isWeighted ? rest : [null, ...rest];
    const h = this.hTransform.apply(conditioning, t as Tensor[]);
    return weight ? squaredError(mul(target, weight), mul(h, weight)) : squaredError(target, h);
  };

  get #isWeighted(): boolean {
    return this.#o.config.algo.finetune_args.alpha_bar_power > 0;
  }

  /** ᾱ_t^(−g/2) of each image, for the loss weight ᾱ_t^(−g); none where g = 0. */
  #weights(t: Float32Array): Tensor[] {
    const { engine, schedule, config } = this.#o;
    const half = -config.algo.finetune_args.alpha_bar_power / 2;
    const weights = Float32Array.from(t, (v) => schedule.alphaBar(v) ** half);
    return this.#isWeighted ? [engine.tensor(weights, [t.length, 1, 1, 1])] : [];
  }

  /** Learning rate of the next step. */
  get lr(): number {
    const { lr, lr_annealing: annealing } = this.#o.config.algo.finetune_args;
    return learningRate(lr, this.trainer.steps, this.#o.totalSteps, annealing);
  }

  /** Records the next step; the loss is the caller's to read and dispose of. */
  step(batch: Batch): Tensor {
    const { engine, schedule, prior, task, config } = this.#o;
    const { seed } = config.exp;
    const step = this.trainer.steps;
    const { inChannels, imageSize } = prior.network.config;
    return engine.scope(() => {
      const x = upload(engine, batch.values, batch.count, inChannels, imageSize);
      const first = step * config.algo.finetune_args.batch_size;
      const operator = task.operator(
        engine,
        Array.from({ length: batch.count }, (_, k) => first + k),
      );
      const z = randomNormal(engine, x.shape, { seed, stream: streamOf(streams.noise, step) });
      const y = engine.noGrad(() => measureNoisy(engine, operator, x, task, { seed, step }));
      const t = this.#cumulative
        ? drawTimestepsFrom(batch.count, this.#cumulative, seed, step)
        : drawTimesteps(batch.count, schedule.numTimesteps, seed, step);
      const options = task.condition;
      const denoise = this.#under(batch.labels);
      const data = deftLossData({ schedule, prior: denoise, operator, options, x, y, z, t });
      const inputs: [Tensor, Tensor, ...Tensor[]] = [
        data.conditioning,
        data.target,
        ...this.#weights(t),
        ...this.hTransform.prepare(engine, t),
      ];
      this.hTransform.calls++;
      const { dropout } = this.hTransform;
      if (dropout.rate === 0) return this.#planned(this.lr, inputs);
      // Which values are dropped differs from step to step.
      const dropped = { seed, stream: streamOf(streams.dropout, step) };
      return this.trainer.step(this.lr, () => dropout.during(dropped, () => this.#loss(...inputs)));
    });
  }

  /** The prior, under the pictures' classes where they have some. */
  #under(labels: readonly number[] | null): Denoiser {
    const { prior } = this.#o;
    return prior.labelled?.(labels) ?? prior.denoise;
  }

  /** DEFT's prediction for a measurement of pictures of these classes, with the averaged weights when asked. */
  predict(
    operator: Operator,
    y: Tensor,
    useAverage: boolean,
    labels: readonly number[] | null = null,
  ): Predict {
    const { schedule, task } = this.#o;
    const denoise = this.#under(labels);
    const predict = deftPredict(schedule, denoise, this.hTransform, operator, y, task.condition);
    return useAverage ? (xt, t) => this.trainer.withAverage(() => predict(xt, t)) : predict;
  }

  /** The gate s(t) at `ts`. */
  async gate(ts: readonly number[], useAverage: boolean): Promise<Float32Array> {
    const { engine } = this.#o;
    const s = engine.noGrad(() => {
      const run = () => this.hTransform.gate(engine, ts);
      return useAverage ? this.trainer.withAverage(run) : run();
    });
    const values = await s.read();
    s.dispose();
    return values;
  }
}

/** y = A x + σ_y n with the noise of a training step, or of evaluated pictures numbered from `first`. */
export function measureNoisy(
  engine: Engine,
  operator: Operator,
  x: Tensor,
  task: Task,
  random: { readonly seed: number; readonly step: number; readonly first?: number },
): Tensor {
  const { sigmaY } = task.condition;
  const { seed, step, first = 0 } = random;
  const shape = [x.dim(0), ...operator.outShape];
  const stream = streamOf(streams.measurement, step);
  return measure(
    operator,
    x,
    sigmaY,
    sigmaY > 0 ? randomNormal(engine, shape, { seed, stream, first }) : null,
  );
}
