// One optimiser step after another on one network: gradients, Adam, moving average, and the state that resuming needs.
import { Adam } from "../nn/adam.ts";
import { emaDecay, type EmaOptions } from "../nn/ema.ts";
import type { ParameterSet } from "../nn/parameter.ts";
import { loadWeights, readState, writeState, type NamedArray, type WeightSource } from "../nn/state.ts";
import type { Tensor } from "../tensor/index.ts";

/** Prefixes of the tensors in a training checkpoint. */
const PREFIX = { model: "model.", average: "ema_model.", m: "adam.m.", v: "adam.v." } as const;

export class Trainer {
  readonly set: ParameterSet;
  readonly adam: Adam;
  /** Flat tensors of the averaged weights. */
  readonly average: readonly Tensor[];
  readonly #ema: EmaOptions;

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
    const { set, adam } = this;
    const { engine } = set;
    return engine.scope(() => {
      const value = loss();
      const gradients = engine.gradients(
        value,
        set.parameters.map((p) => p.value),
      );
      const decay = emaDecay(adam.steps, this.#ema);
      adam.step(gradients, lr, { flat: this.average, decay });
      return value;
    });
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
