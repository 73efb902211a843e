import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";

/** The training run of a resolved and checked configuration. */
export async function runTraining(config: Config): Promise<void> {
  await Promise.reject(new UserError(`train: the training loop for ${config.algo.deg} is being assembled`));
}
