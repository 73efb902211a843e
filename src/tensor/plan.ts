// Plans: what a function records, kept and replayed.
import { idOf } from "../gpu/launch.ts";
import { Recorder } from "../gpu/recorder.ts";
import { Recording, type Port } from "../gpu/recording.ts";
import type { Engine } from "./engine.ts";
import { DisposedError, GradientError } from "./errors.ts";
import type { Shape } from "./shape.ts";
import { bytesOf, type Dtype, type Tensor } from "./tensor.ts";

export interface PlanOptions {
  /** Tensors that `fn` reads beside its inputs and that may be others in a later run, such as weights and their average. */
  readonly reads?: () => readonly Tensor[];
}

interface Recorded {
  readonly recording: Recording;
  readonly outputs: readonly { readonly shape: Shape; readonly dtype: Dtype }[];
  /** Whether all that it reads beside its inputs is still there. */
  readonly isCurrent: () => boolean;
}

/** Recordings a plan keeps; of more the one that was used longest ago goes. */
const KEPT = 16;

/**
 * A function of tensors whose dispatches are recorded once for each set of shapes and then replayed: the host does not run it again,
 * parameters are written once, and intermediates that are not needed at the same time share memory, which all plans of a device use in
 * turn. The numbers are those of fn itself, to the bit.
 *
 * fn is pure: what it does follows from its inputs' shapes alone. Numbers that change from run to run come in as tensors. Inside,
 * random numbers, optimiser steps and reads throw KernelError or DeviceError; it may take gradients of its own, but none pass through.
 * It may write tensors that it closes over (gradients gathered in one place); those it reads must live as long as the plan.
 */
export class Plan {
  readonly #engine: Engine;
  readonly #fn: (...inputs: Tensor[]) => readonly Tensor[];
  readonly #reads: () => readonly Tensor[];
  /** By shapes, the latest used last. */
  readonly #recorded = new Map<string, Recorded>();

  constructor(engine: Engine, fn: (...inputs: Tensor[]) => readonly Tensor[], options: PlanOptions = {}) {
    this.#engine = engine;
    this.#fn = fn;
    this.#reads = options.reads ?? (() => []);
  }

  /** What fn returns for these inputs, in tensors of the caller's scope. GradientError where one wants a gradient. */
  run(inputs: readonly Tensor[]): Tensor[] {
    const engine = this.#engine;
    if (engine.recording && inputs.some((t) => t.requiresGrad))
      throw new GradientError("plan: gradients do not pass through a plan; take them inside, or use noGrad");
    // A plan inside a plan is part of it.
    const inPlace = () => engine.scope(() => [...this.#fn(...inputs)]);
    if (engine.device.recorder) return inPlace();
    // Who is told of each choice of a kernel wants to hear of all.
    if (engine.device.picked) return engine.withTape(inPlace, engine.recording);
    const { recording, outputs } = this.#for(inputs);
    const results = outputs.map(({ shape, dtype }) => engine.empty(shape, dtype, "plan"));
    recording.replay(inputs, results);
    return results;
  }

  /** Frees its memory. */
  dispose(): void {
    for (const { recording } of this.#recorded.values()) recording.dispose();
    this.#recorded.clear();
  }

  #for(inputs: readonly Tensor[]): Recorded {
    const read = this.#reads().map((t) => idOf(t.storage));
    const key = [...inputs.map((t) => `${t.dtype}[${t.shape.join()}]`), ...read].join(" ");
    let found = this.#recorded.get(key);
    this.#recorded.delete(key);
    if (found && !found.isCurrent()) {
      found.recording.dispose();
      found = undefined;
    }
    found ??= this.#record(inputs);
    this.#recorded.set(key, found);
    for (const [old, { recording }] of this.#recorded)
      if (this.#recorded.size > KEPT) {
        recording.dispose();
        this.#recorded.delete(old);
      }
    return found;
  }

  #record(inputs: readonly Tensor[]): Recorded {
    const engine = this.#engine;
    const { device } = engine;
    const recorder = new Recorder((data) => device.constant(data, "constant of a plan"));
    try {
      // In a scope of its own, so that what an error leaves goes back to the recorder, not to the pool.
      const inside = () => {
        const own = inputs.map((t) => engine.empty(t.shape, t.dtype, "input of a plan"));
        const results = engine.withTape(() => engine.scope(() => [...this.#fn(...own)]), engine.recording);
        const [from, to] = [own.map(portOf), results.map(portOf)];
        const outputs = results.map(({ shape, dtype }) => ({ shape, dtype }));
        const foreign = results.find((t) => !recorder.owns(t.buffer));
        if (foreign)
          throw new DisposedError(
            `plan: fn returns ${foreign.origin}, which lives outside of it; return a copy`,
          );
        for (const t of [...own, ...results]) t.dispose("its plan was recorded");
        if (recorder.leftover !== undefined)
          throw new DisposedError(
            `plan: ${recorder.leftover} outlives the function that made it; return it, or make it before`,
          );
        const recording = device.record(null, () => new Recording(device, recorder, from, to));
        return { recording, outputs, isCurrent: () => recorder.isCurrent };
      };
      return device.record(recorder, () => engine.scope(inside));
    } catch (error) {
      recorder.dispose(device.pool);
      throw error;
    }
  }
}

function portOf(t: Tensor): Port {
  return { buffer: t.buffer, offset: t.offset, bytes: Math.ceil((t.size * bytesOf(t.dtype)) / 4) * 4 };
}
