// One optimiser step after another on one network: gradients, Adam, moving average, and the state that resuming needs.
import { Adam } from "../nn/adam.ts";
import { emaDecay, type EmaOptions } from "../nn/ema.ts";
import type { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, readState, writeState, type NamedArray, type WeightSource } from "../nn/state.ts";
import { Plan, type Tensor } from "../tensor/index.ts";

/** Prefixes of the tensors in a training checkpoint. */
const PREFIX = { model: "model.", average: "ema_model.", m: "adam.m.", v: "adam.v." } as const;

export class Trainer {
  readonly set: ParameterSet;
  readonly adam: Adam;
  /** Flat tensors of the averaged weights. */
  readonly average: readonly Tensor[];
  readonly #ema: EmaOptions;
  readonly #plans: Plan[] = [];

  constructor(set: ParameterSet, ema: EmaOptions) {
    this.set = set;
    this.adam = new Adam(set);
    this.average = set.zerosLike("average");
    this.#ema = ema;
    this.average.forEach((t, i) => t.copyFrom(set.flat[i] as Tensor));
  }

  /** Steps taken so far. */
  get steps(): number {
    return this.adam.steps;
  }

  /** Records one step with learning rate `lr`; the loss tensor is the caller's to read and dispose of. */
  step(lr: number, loss: () => Tensor): Tensor {
    return this.set.engine.scope(() => this.#descend(lr, () => this.#gradients(loss())));
  }

  /**
   * Steps whose loss is a pure function of tensors (tensor/plan.ts): it and its gradients are recorded once for each set of shapes and
   * replayed. Called with the learning rate and the inputs; the loss tensor is the caller's to read and dispose of.
   */
  planned(loss: (...inputs: Tensor[]) => Tensor): (lr: number, inputs: readonly Tensor[]) => Tensor {
    const plan = new Plan(this.set.engine, (...inputs) => [this.#gradients(loss(...inputs))]);
    this.#plans.push(plan);
    return (lr, inputs) => this.#descend(lr, () => plan.run(inputs)[0] as Tensor);
  }

  /** Gathers the gradients of a loss. */
  #gradients(value: Tensor): Tensor {
    const { set, adam } = this;
    const weights = set.parameters.map((p) => p.value);
    set.engine.scope(() => adam.gather(set.engine.gradients(value, weights)));
    return value;
  }

  #descend(lr: number, gathered: () => Tensor): Tensor {
    const { adam } = this;
    const value = gathered();
    adam.step(lr, { flat: this.average, decay: emaDecay(adam.steps, this.#ema) });
    return value;
  }

  /** Runs `fn` with the averaged weights in place. */
  withAverage<T>(fn: () => T): T {
    return this.set.with(this.average, fn);
  }

  /** Everything that resuming needs, by name: model.*, ema_model.*, adam.m.*, adam.v.*. */
  async state(): Promise<NamedArray[]> {
    const { set, adam, average } = this;
    return [
      ...(await readState(set, set.flat, PREFIX.model)),
      ...(await readState(set, average, PREFIX.average)),
      ...(await readState(set, adam.m, PREFIX.m)),
      ...(await readState(set, adam.v, PREFIX.v)),
    ];
  }

  /** Puts a saved state back; `steps` as when it was saved. */
  async restore(source: WeightSource, steps: number, what: string): Promise<void> {
    const { set, adam, average } = this;
    await loadWeights(set, source, PREFIX.model, what);
    await writeState(set, average, source, PREFIX.average);
    await writeState(set, adam.m, source, PREFIX.m);
    await writeState(set, adam.v, source, PREFIX.v);
    adam.steps = steps;
  }

  dispose(): void {
    for (const plan of this.#plans) plan.dispose();
    this.adam.dispose();
    for (const t of this.average) t.dispose();
  }
}

/** Learning rate of step `step` (from 0) of `total`: rises linearly over `warmup` steps, falls linearly to 0 when annealing. */
export function learningRate(
  lr: number,
  step: number,
  total: number,
  annealing: boolean,
  warmup = 0,
): number {
  const fall = annealing ? 1 - step / total : 1;
  return lr * Math.min(1, (step + 1) / Math.max(1, warmup)) * fall;
}
