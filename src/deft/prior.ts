// The frozen prior: weights loaded once, nothing recorded, every network call counted.
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, type WeightSource } from "../nn/state.ts";
import { UNet, type UNetConfig } from "../nn/unet.ts";
import { Plan, type Engine, type Tensor } from "../tensor/index.ts";
import { epsilonFrom, type Denoiser, type PredictionType } from "./denoiser.ts";
import { UserError } from "./errors.ts";
import type { Schedule } from "./schedule.ts";

/** What a prior is besides its weights. */
export interface PriorOptions {
  readonly network: UNetConfig;
  readonly prediction: PredictionType;
  readonly schedule: Schedule;
  /** Weights of convolutions and features in float16, sums in float32; the adapter must have shader-f16. */
  readonly half?: boolean;
}

export class Prior {
  readonly network: UNet;
  readonly parameters: ParameterSet;
  /**
   * ε_θ(x_t, t); no gradient is recorded for its weights. A class-conditional network wants `labelled` instead. Throws a UserError
   * where a gradient by x_t is asked of a prior in float16.
   */
  readonly denoise: Denoiser;
  readonly #options: PriorOptions;
  /** Network calls so far, a batch counting one. */
  calls = 0;

  readonly #plan: Plan;

  private constructor(network: UNet, parameters: ParameterSet, options: PriorOptions) {
    this.network = network;
    const { engine } = parameters;
    this.#plan = new Plan(engine, (xt, ...prepared) => [network.apply(xt as Tensor, prepared)]);
    // Samplers that take gradients through the prior shall not need the memory of all its blocks at once.
    network.recompute = true;
    this.parameters = parameters;
    this.#options = options;
    this.denoise = this.#under(null);
  }

  /** ε_θ(x_t, t | label), one class number a picture, in turn where a batch holds the pictures several times; `denoise` where the network takes no classes. */
  labelled(labels: readonly number[] | null): Denoiser {
    return this.network.config.numClasses === null ? this.denoise : this.#under(labels);
  }

  #under(labels: readonly number[] | null): Denoiser {
    const { prediction, schedule } = this.#options;
    return epsilonFrom(prediction, schedule, (xt, t) => {
      this.calls++;
      const own =
        labels && Uint32Array.from({ length: xt.dim(0) }, (_, i) => labels[i % labels.length] as number);
      const { network } = this;
      const { engine } = this.parameters;
      if (this.#options.half && engine.recording && xt.requiresGrad)
        throw new UserError(
          "model.use_fp16: this algorithm takes a gradient through the prior, and one in float16 has none; leave it out",
        );
      if (engine.recording) return network.forward(xt, t, own);
      return engine.scope(() => this.#plan.run([xt, ...network.prepare(engine, t, own)])[0] as Tensor);
    });
  }

  static async load(
    engine: Engine,
    options: PriorOptions,
    source: WeightSource,
    what: string,
  ): Promise<Prior> {
    const network = new UNet(options.network);
    const parameters = new ParameterSet(engine, network.declarations.list, {
      trainable: false,
      half: options.half ?? false,
    });
    await loadWeights(parameters, source, "", what);
    return new Prior(network, parameters, options);
  }

  /** Frees what it keeps to run again faster. */
  release(): void {
    this.#plan.dispose();
    this.parameters.release();
  }

  dispose(): void {
    this.#plan.dispose();
    this.parameters.dispose();
  }
}
