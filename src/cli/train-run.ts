import type { Flags } from "../deft/config/arguments.ts";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";

/** The training run of a resolved and checked configuration. */
export async function runTraining(_config: Config, _flags: Flags): Promise<void> {
  await Promise.reject(new UserError("train: the training loop is being assembled"));
}
