// The frozen prior: weights loaded once, nothing recorded, every network call counted.
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, type WeightSource } from "../nn/state.ts";
import { UNet, type UNetConfig } from "../nn/unet.ts";
import type { Engine, Tensor } from "../tensor/index.ts";
import type { Denoiser } from "./denoiser.ts";

export class Prior {
  readonly network: UNet;
  readonly parameters: ParameterSet;
  /** Network calls so far, a batch counting one. */
  calls = 0;

  private constructor(network: UNet, parameters: ParameterSet) {
    this.network = network;
    this.parameters = parameters;
  }

  static async load(engine: Engine, config: UNetConfig, source: WeightSource, what: string): Promise<Prior> {
    const network = new UNet(config);
    const parameters = new ParameterSet(engine, network.declarations.list, { trainable: false });
    await loadWeights(parameters, source, "", what);
    return new Prior(network, parameters);
  }

  /** ε_θ(x_t, t); no gradient is recorded for its weights. */
  readonly denoise: Denoiser = (xt: Tensor, t: ArrayLike<number>): Tensor => {
    this.calls++;
    return this.network.forward(xt, t);
  };
}
