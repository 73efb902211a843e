// The frozen prior: weights loaded once, nothing recorded, every network call counted.
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, type WeightSource } from "../nn/state.ts";
import { UNet, type UNetConfig } from "../nn/unet.ts";
import { Plan, type Engine, type Tensor } from "../tensor/index.ts";
import { epsilonFrom, type Denoiser, type PredictionType } from "./denoiser.ts";
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
  /** ε_θ(x_t, t); no gradient is recorded for its weights. */
  readonly denoise: Denoiser;
  /** Network calls so far, a batch counting one. */
  calls = 0;

  readonly #plan: Plan;

  private constructor(network: UNet, parameters: ParameterSet, { prediction, schedule }: PriorOptions) {
    this.network = network;
    const { engine } = parameters;
    this.#plan = new Plan(engine, (xt, ...prepared) => [network.apply(xt as Tensor, prepared)]);
    // Samplers that take gradients through the prior shall not need the memory of all its blocks at once.
    network.recompute = true;
    this.parameters = parameters;
    this.denoise = epsilonFrom(prediction, schedule, (xt, t) => {
      this.calls++;
      if (engine.recording) return network.forward(xt, t);
      return engine.scope(() => this.#plan.run([xt, ...network.prepare(engine, t)])[0] as Tensor);
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
  }

  dispose(): void {
    this.#plan.dispose();
    this.parameters.dispose();
  }
}
