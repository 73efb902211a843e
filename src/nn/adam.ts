import { adamStep, type Tensor } from "../tensor/index.ts";
import type { ParameterSet } from "./parameter.ts";

export interface AdamOptions {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly eps?: number;
}

/** Adam (Kingma & Ba 2015) over a trainable ParameterSet: one dispatch a flat tensor, the moving average in the same one. */
export class Adam {
  readonly parameters: ParameterSet;
  readonly m: readonly Tensor[];
  readonly v: readonly Tensor[];
  readonly #gradients: readonly Tensor[];
  readonly #options: Required<AdamOptions>;
  /** Steps taken so far. */
  steps = 0;

  constructor(parameters: ParameterSet, { beta1 = 0.9, beta2 = 0.999, eps = 1e-8 }: AdamOptions = {}) {
    this.parameters = parameters;
    this.m = parameters.zerosLike("adam m");
    this.v = parameters.zerosLike("adam v");
    this.#gradients = parameters.zerosLike("gradients");
    this.#options = { beta1, beta2, eps };
  }

  /** Puts gradients, in the order of the parameters (null: zero), where `step` finds them. */
  gather(gradients: readonly (Tensor | null)[]): void {
    this.parameters.gather(gradients, this.#gradients);
  }

  /**
   * One step with learning rate `lr` on the gathered gradients. With `average`, its flat tensors then become
   * decay·average + (1 − decay)·weights (decay null: untouched).
   */
  step(lr: number, average?: { flat: readonly Tensor[]; decay: number | null }): void {
    const { parameters: set } = this;
    this.steps++;
    set.flat.forEach((params, i) => {
      const ema = average && average.decay !== null ? (average.flat[i] as Tensor) : null;
      const state = {
        params,
        grads: this.#gradients[i] as Tensor,
        m: this.m[i] as Tensor,
        v: this.v[i] as Tensor,
        ema,
      };
      adamStep(set.engine, state, { step: this.steps, lr, ...this.#options, emaDecay: average?.decay ?? 0 });
    });
  }

  dispose(): void {
    for (const t of [...this.m, ...this.v, ...this.#gradients]) t.dispose();
  }
}
