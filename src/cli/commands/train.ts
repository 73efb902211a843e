import { helpText } from "../../deft/config/help.ts";
import { parseArguments } from "../../deft/config/arguments.ts";
import type { Config } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { checkInputs } from "../check-inputs.ts";
import { resolveRun } from "../resolve-run.ts";
import { configToYaml } from "../run-folder.ts";
import { runTraining } from "../train-run.ts";

const USAGE =
  "deft train [OPTIONS]: fine-tune an h-transform beside a frozen prior and restore held-out pictures";

/** `deft train`: options and files are checked before anything is loaded that needs a GPU. Throws UserError. */
export async function train(args: readonly string[]): Promise<void> {
  if (parseArguments(args).flags.help) {
    process.stdout.write(helpText(USAGE, (group) => group !== "pretrain" && group !== "compare"));
    return;
  }
  const { config, warnings, flags } = await resolveRun(args);
  checkAlgorithm(config);
  if (!flags.dryRun) checkInputs(config);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runTraining(config);
}

function checkAlgorithm({ algo, compare }: Config): void {
  if (compare.checkpoint !== null)
    throw new UserError(
      `compare.checkpoint: only deft compare reads it; got ${compare.checkpoint}; train starts from htransform_model.ckpt_path=FILE`,
    );
  if (algo.name !== "deft") {
    throw new UserError(
      `algo: train fine-tunes algo=deft; got ${algo.name}; expected algo=deft, or leave it out`,
    );
  }
}
