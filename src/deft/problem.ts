// The problem that a batch of measurements puts to an algorithm.
import type { EncoderUNet } from "../nn/unet.ts";
import type { Engine } from "../tensor/index.ts";
import type { Problem } from "./algorithms/algorithm.ts";
import type { OpenBatch } from "./evaluate.ts";
import type { Prior } from "./prior.ts";
import type { Schedule } from "./schedule.ts";

/** What all batches share. */
export interface Sampling {
  readonly engine: Engine;
  readonly schedule: Schedule;
  readonly prior: Pick<Prior, "denoise" | "calls" | "release"> & Partial<Pick<Prior, "labelled">>;
  /** Pulls ddim towards the pictures' classes; null or absent: nothing does. */
  readonly guidance?: { readonly classifier: EncoderUNet; readonly strength: number } | null;
}

/** The rest of a problem is the caller's: steps, draws, and who looks on. */
export function problemOf(
  { engine, schedule, prior, guidance }: Sampling,
  { operator, y, labels, single }: Pick<OpenBatch, "operator" | "y" | "labels" | "single">,
): Omit<Problem, "ts" | "draws"> {
  const under = (own: readonly number[] | null) => prior.labelled?.(own) ?? prior.denoise;
  return {
    ...{ engine, schedule, operator, y, prior: under(labels) },
    ...(guidance && labels && { guide: { ...guidance, labels } }),
    single: (k, copies) => ({
      operator: single(k, copies),
      prior: under(labels && [labels[k] as number]),
    }),
  };
}
