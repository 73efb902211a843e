// Training checkpoints: one safetensors file with weights, their average and the optimiser's state, written aside and renamed.
import { existsSync } from "node:fs";
import path from "node:path";
import { UserError } from "../deft/errors.ts";
import type { Trainer } from "../deft/trainer.ts";
import { openWeights, weightSource, writeWeights } from "../io/weights.ts";

const FILE = "checkpoint.safetensors";
const STEP = "deft.step";

export const checkpointPath = (folder: string): string => path.join(folder, FILE);

/** Saves the state after `trainer.steps` steps. */
export async function saveCheckpoint(
  folder: string,
  trainer: Trainer,
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const entries = (await trainer.state()).map((t) => ({ ...t, dtype: "F32" as const }));
  const broken = entries.find(({ data }) => !data.every(Number.isFinite));
  if (broken)
    throw new UserError(
      `${broken.name}: not finite at step ${trainer.steps}, so it is not saved over what ${folder} holds; begin a new run with a lower learning rate`,
    );
  await writeWeights(checkpointPath(folder), entries, { ...metadata, [STEP]: String(trainer.steps) });
}

/** Restores the last checkpoint of a folder; the step it was saved at, or null when there is none. */
export async function restoreCheckpoint(folder: string, trainer: Trainer): Promise<number | null> {
  const file = checkpointPath(folder);
  if (!existsSync(file)) return null;
  const weights = await openWeights(file);
  try {
    const step = Number(weights.metadata.get(STEP));
    if (!Number.isInteger(step) || step < 0)
      throw new UserError(
        `${file}: no step is stated; expected a checkpoint of this program; delete it to start anew`,
      );
    await trainer.restore(weightSource(weights), step, file);
    return step;
  } finally {
    await weights.close();
  }
}
