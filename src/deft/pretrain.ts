// Training of a prior (Ho et al. 2020, algorithm 1), whether its network puts out ε or v: timesteps from the density ᾱ_t^p, errors
// of ε weighted by ᾱ_t^(−g): at large t a picture is √ᾱ_t of x_t, so what a small error of ε does to it is large.
import { ParameterSet } from "../nn/parameter.ts";
import { initialise } from "../nn/state.ts";
import { UNet } from "../nn/unet.ts";
import {
  affine,
  lincomb,
  Plan,
  randomNormal,
  square,
  sum,
  type Engine,
  type Tensor,
} from "../tensor/index.ts";
import { drawTimestepsFrom, streamOf, streams, upload, type Batches } from "./batches.ts";
import type { Config } from "./config/schema.ts";
import { addNoise, epsilonFrom, weightedResidual, type Denoiser, type PredictionType } from "./denoiser.ts";
import { priorConfig } from "./networks.ts";
import { clippedPredict, sampleDdim } from "./sample.ts";
import { timestepDistribution, timesteps, type Schedule } from "./schedule.ts";
import { learningRate, Trainer } from "./trainer.ts";

/** What a new prior puts out where the user names nothing. */
export const predictionOf = (named: PredictionType | null): PredictionType => named ?? "v_prediction";

export class Pretraining {
  readonly network: UNet;
  readonly trainer: Trainer;
  /** ε_θ of the weights in training. */
  readonly #denoise: Denoiser;
  readonly #prediction: PredictionType;
  readonly #planned: ReturnType<Trainer["planned"]>;
  readonly #sampling: Plan;
  readonly #engine: Engine;
  readonly #schedule: Schedule;
  readonly #options: Config["pretrain"];
  readonly #seed: number;
  readonly #cumulative: Float64Array;

  constructor(engine: Engine, schedule: Schedule, config: Config) {
    this.#engine = engine;
    this.#schedule = schedule;
    this.#options = config.pretrain;
    this.#seed = config.exp.seed;
    this.#cumulative = timestepDistribution(schedule, config.pretrain.timestep_power);
    this.network = new UNet(priorConfig(config.model));
    this.#prediction = predictionOf(config.model.prediction_type);
    this.#sampling = new Plan(engine, (xt, ...t) => [this.network.apply(xt as Tensor, t)], {
      reads: () => this.network.declarations.list.map((p) => p.value),
    });
    this.#denoise = epsilonFrom(this.#prediction, schedule, (xt, t) =>
      engine.scope(() => this.#sampling.run([xt, ...this.network.prepare(engine, t)])[0] as Tensor),
    );
    const set = new ParameterSet(engine, this.network.declarations.list, { trainable: true });
    initialise(set, this.#seed);
    this.trainer = new Trainer(set, { beta: config.pretrain.ema_beta, updateAfterStep: 0, updateEvery: 1 });
    this.#planned = this.trainer.planned(this.#loss);
  }

  /** Of the parts of the weighted residual, x_t, and t as the network takes it. */
  readonly #loss = (known: Tensor, factor: Tensor, xt: Tensor, ...t: Tensor[]): Tensor => {
    const residual = lincomb(1, known, factor, this.network.apply(xt, t));
    return affine(sum(square(residual), { axes: null }), 1 / known.size, 0);
  };

  /** Learning rate of the next step. */
  get lr(): number {
    const o = this.#options;
    return learningRate(o.lr, this.trainer.steps, o.steps, o.lr_annealing, o.warmup_steps);
  }

  /** Records the next step; the loss (mean of (z − ε)²·ᾱ_t^(−g) over all values) is the caller's to read and dispose of. */
  step(batch: Awaited<ReturnType<Batches["get"]>>): Tensor {
    const [engine, step, seed] = [this.#engine, this.trainer.steps, this.#seed];
    const { inChannels, imageSize } = this.network.config;
    return engine.scope(() => {
      const x = upload(engine, batch.values, batch.count, inChannels, imageSize);
      const z = randomNormal(engine, x.shape, { seed, stream: streamOf(streams.noise, step) });
      const t = drawTimestepsFrom(batch.count, this.#cumulative, seed, step);
      const xt = addNoise(this.#schedule, x, z, t);
      const power = this.#options.alpha_bar_power;
      const { known, factor } = weightedResidual(this.#prediction, this.#schedule, { xt, z, t, power });
      const inputs: [Tensor, Tensor, Tensor, ...Tensor[]] = [
        known,
        factor,
        xt,
        ...this.network.prepare(engine, t),
      ];
      const { dropout } = this.network;
      if (dropout.rate === 0) return this.#planned(this.lr, inputs);
      // Which values are dropped differs from step to step.
      const dropped = { seed, stream: streamOf(streams.dropout, step) };
      return this.trainer.step(this.lr, () => dropout.during(dropped, () => this.#loss(...inputs)));
    });
  }

  /** `n` pictures drawn from the averaged weights as ADM draws them (DDIM with η = 1, x̂0 clamped): [n, C, side, side]. */
  async sample(n: number, numSteps: number, seed: number): Promise<Tensor> {
    const { inChannels, imageSize } = this.network.config;
    const shape = [n, inChannels, imageSize, imageSize];
    const prior = (xt: Tensor, t: ArrayLike<number>) => this.trainer.withAverage(() => this.#denoise(xt, t));
    return sampleDdim({
      engine: this.#engine,
      schedule: this.#schedule,
      ts: timesteps(this.#schedule.numTimesteps, 0, Math.min(numSteps, this.#schedule.numTimesteps)),
      eta: 1,
      predict: clippedPredict(this.#schedule, prior),
      start: randomNormal(this.#engine, shape, { seed, stream: streamOf(streams.start, 0) }),
      noise: (k) => randomNormal(this.#engine, shape, { seed, stream: streamOf(streams.sample, k) }),
    });
  }
}
