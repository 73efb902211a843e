// The h-transform network (spec section 3): a small UNet with more input channels and a scalar time gate.
import type { Dropout } from "../nn/dropout.ts";
import { linearLayer, type Layer } from "../nn/layers.ts";
import { Declarations } from "../nn/parameter.ts";
import { UNet, type UNetConfig } from "../nn/unet.ts";
import {
  lincomb,
  mul,
  Plan,
  reshape,
  ShapeError,
  silu,
  slice,
  timestepEmbedding,
  type Engine,
  type Tensor,
} from "../tensor/index.ts";

export interface HTransformConfig extends UNetConfig {
  /** Subtract s(t)·g from the network's output; else only the network. */
  readonly useResidual: boolean;
  /** ε form (h = NN − s·g) or score form (NN + s·g, an estimate of ∇ log p(y | x_t)). */
  readonly epsilonBased: boolean;
  /** Of the score form: the factor at timestep t that makes a score noise, −√(1−ᾱ_t), so that h is added to ε; none: h stays a score. */
  readonly noiseFactor?: (t: number) => number;
  /** s(t) at the start. */
  readonly initScalingBias: number;
  /** Factor of NN at timestep t: √ᾱ_t makes a change of v a change of ε, as v = (ε − √(1−ᾱ) x_t)/√ᾱ. None: 1. */
  readonly outputFactor?: (t: number) => number;
}

export class HTransform {
  readonly config: HTransformConfig;
  readonly declarations = new Declarations();
  /** Network calls so far, a batch counting one. */
  calls = 0;
  readonly #net: UNet;
  readonly #gate: Layer;
  #plan: Plan | undefined;

  constructor(config: HTransformConfig) {
    this.config = config;
    if (config.inChannels < config.outChannels)
      throw new ShapeError(
        `h-transform: ${config.inChannels} input channels hold no guidance of ${config.outChannels} channels`,
      );
    this.#net = new UNet(config, this.declarations);
    const d = this.declarations.in("log_likelihood_scaling");
    const wide = 4 * config.modelChannels;
    const [a, b] = [linearLayer(d.in(0), config.modelChannels, wide), linearLayer(d.in(2), wide, wide)];
    const c = linearLayer(d.in(4), wide, 1, { weight: 0, bias: config.initScalingBias });
    this.#gate = (e) => c(silu(b(silu(a(e)))));
  }

  /** Dropout of the network's residual blocks. */
  get dropout(): Dropout {
    return this.#net.dropout;
  }

  /** s(t) [T]: MLP of the timestep embedding; starts at initScalingBias for every t. */
  gate(engine: Engine, t: ArrayLike<number>): Tensor {
    return engine.scope(() =>
      reshape(this.#gate(timestepEmbedding(engine, t, this.config.modelChannels)), [t.length]),
    );
  }

  /** h = NN(inputs, t) − s(t)·g (score form: see HTransformConfig), g the last outChannels channels of the inputs [N, inChannels, H, W]. */
  forward(inputs: Tensor, t: ArrayLike<number>): Tensor {
    const { engine } = inputs;
    this.calls++;
    return engine.scope(() => {
      const prepared = this.prepare(engine, t);
      if (engine.recording) return this.apply(inputs, prepared);
      this.#plan ??= new Plan(engine, (x, ...rest) => [this.apply(x as Tensor, rest)], {
        // The weights, or their average.
        reads: () => this.declarations.list.map((p) => p.value),
      });
      return this.#plan.run([inputs, ...prepared])[0] as Tensor;
    });
  }

  /** t as `apply` takes it. */
  prepare(engine: Engine, t: ArrayLike<number>): Tensor[] {
    const factors = this.#factors.map((f) => engine.tensor(Float32Array.from(t, f), [t.length, 1, 1, 1]));
    return [...factors, ...this.#net.prepare(engine, t)];
  }

  /** Of the network's output, and of h in score form. */
  get #factors(): ((t: number) => number)[] {
    const { outputFactor, noiseFactor, epsilonBased } = this.config;
    return [outputFactor, epsilonBased ? undefined : noiseFactor].filter((f) => f !== undefined);
  }

  /** `forward` as a pure function of tensors, uncounted, which a Plan can replay. */
  apply(inputs: Tensor, prepared: readonly Tensor[]): Tensor {
    const count = this.#factors.length;
    const factors = prepared.slice(0, count);
    return inputs.engine.scope(() => {
      const h = this.#output(inputs, prepared.slice(count), this.config.outputFactor && factors.shift());
      return factors[0] ? mul(h, factors[0]) : h;
    });
  }

  #output(inputs: Tensor, prepared: readonly Tensor[], factor: Tensor | undefined): Tensor {
    const { inChannels, outChannels, useResidual, epsilonBased } = this.config;
    const own = this.#net.apply(inputs, prepared);
    const out = factor ? mul(own, factor) : own;
    if (!useResidual) return out;
    const [n, , h, w] = [inputs.dim(0), inputs.dim(1), inputs.dim(2), inputs.dim(3)];
    const g = slice(inputs, [0, inChannels - outChannels, 0, 0], [n, inChannels, h, w]);
    const s = reshape(this.#gate(prepared[0] as Tensor), [n, 1, 1, 1]);
    return lincomb(1, out, epsilonBased ? -1 : 1, mul(g, s));
  }

  /** Frees what it keeps to run again faster. */
  release(): void {
    this.#plan?.dispose();
  }
}
