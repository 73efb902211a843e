import { parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import { checkInputs } from "../check-inputs.ts";
import { runComparison } from "../compare-run.ts";
import { resolveComparison } from "../resolve-trained.ts";
import { configToYaml } from "../run-folder.ts";

const USAGE =
  "deft compare [--checkpoint RUN_FOLDER] [OPTIONS]: several algorithms on one task, with the same measurements and seeds";

/** Groups that compare does not read. */
const FOREIGN = ["pretrain", "finetune_dataset", "sample"];

/** `deft compare`: options and files are checked before anything is loaded that needs a GPU. Throws UserError. */
export async function compare(args: readonly string[]): Promise<void> {
  if (parseArguments(args).flags.help) {
    process.stdout.write(helpText(USAGE, (group) => !FOREIGN.includes(group)));
    return;
  }
  const { config, warnings, flags } = await resolveComparison(args);
  if (!flags.dryRun) checkInputs(config);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runComparison(config);
}
