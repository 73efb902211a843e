// The task of a run: the operator of each batch, its masks, its noise.
import type { Engine } from "../tensor/index.ts";
import { parseDegradation } from "./config/degradation.ts";
import type { Config } from "./config/schema.ts";
import { UserError } from "./errors.ts";
import { boxMasks, freeFormMasks, type MaskSource } from "./masks.ts";
import type { Operator } from "./operator.ts";
import { inpainting } from "./operators/inpainting.ts";
import { superResolution } from "./operators/super-resolution.ts";
import type { ConditionOptions } from "./condition.ts";

export interface Task {
  readonly name: string;
  /** Block size of super-resolution, for the bicubic row; null elsewhere. */
  readonly scale: number | null;
  readonly condition: ConditionOptions;
  /** The operator of a batch; `indices` says which mask each picture gets. */
  operator(engine: Engine, indices: readonly number[]): Operator;
}

/** Masks of the configuration that need no file; null when it names one (the command line reads it). */
export function generatedMasks(config: Config, side: number): MaskSource | null {
  const { mask, min_mask_size: minMaskSize, max_mask_size: maxMaskSize } = config.likelihood.forward_op;
  const { seed } = config.exp;
  if (mask === "file") return null;
  return mask === "box" ? boxMasks({ side, seed, minMaskSize, maxMaskSize }) : freeFormMasks({ side, seed });
}

/** The task that `algo.deg` names, for images of `channels`×`side`×`side`. Throws UserError for one that is not there. */
export function makeTask(config: Config, side: number, channels: number, masks: MaskSource | null): Task {
  const [part, ...more] = parseDegradation(config.algo.deg);
  const shape = [channels, side, side] as const;
  const { use_x0hat: useX0hat, use_loggrad: useLoggrad } = config.algo;
  const common = {
    name: config.algo.deg,
    condition: {
      sigmaY: config.algo.sigma_y ?? 0,
      useX0hat,
      useLoggrad,
      convention: config.likelihood.convention,
    },
  };
  if (part?.kind === "sr" && more.length === 0) {
    const operator = superResolution(part.scale, shape);
    return { ...common, scale: part.scale, operator: () => operator };
  }
  if ((part?.kind === "inp" || part?.kind === "in2") && more.length === 0) {
    if (!masks)
      throw new UserError(
        "likelihood.forward_op.mask_filename: in-painting needs masks; pass a file, or mask=freeform",
      );
    return {
      ...common,
      scale: null,
      operator(engine, indices) {
        const values = new Float32Array(indices.length * side * side);
        indices.forEach((index, k) => values.set(masks.mask(index), k * side * side));
        return inpainting(engine, { values, shape: [indices.length, 1, side, side] }, shape);
      },
    };
  }
  throw new UserError(`algo.deg: ${config.algo.deg} has no operator for training; expected sr{k} or inp`);
}
