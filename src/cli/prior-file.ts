import path from "node:path";
import { shippedPriors, type Preset } from "../deft/config/presets.ts";
import { priorNetwork } from "../deft/config/prior-metadata.ts";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { openWeights } from "../io/weights.ts";
import { ownPackage } from "./packages.ts";
import { checkKind } from "./weight-kind.ts";

/** The option that names the weight file. */
export const PRIOR = "model.ckpt_path";

/** The prior's weight file: the one the user names, else the shipped one of the model; null where none is shipped. */
export function priorFile(model: string, ckptPath: string | null): string | null {
  if (ckptPath !== null) return ckptPath;
  const shipped = shippedPriors[model];
  return shipped === undefined ? null : path.join(ownPackage().folder, "assets", shipped);
}

/**
 * The network that a prior's weight file states in its metadata, as `model.*` values; none for public checkpoints.
 * Reads the header only. Throws a UserError that names option and file, also for an h-transform's.
 */
export async function readPriorNetwork(file: string): Promise<Preset> {
  const weights = await openWeights(file, { option: PRIOR });
  await weights.close();
  checkKind(weights.names, "prior", `${PRIOR}: ${file}`);
  try {
    return priorNetwork(weights.metadata);
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${PRIOR}: ${file}: ${error.message}`) : error;
  }
}

/** Sizes of the prior's pictures. */
export const sizeOfPrior = ({ model, dataset }: Config): { side: number; channels: number } => ({
  side: model.image_size ?? dataset.image_size ?? 0,
  channels: model.in_channels,
});
