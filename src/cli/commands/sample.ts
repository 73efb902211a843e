import { parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import { checkInputs } from "../check-inputs.ts";
import { resolveSampling } from "../resolve-trained.ts";
import { configToYaml } from "../run-folder.ts";
import { runSampling } from "../sample-run.ts";

const USAGE =
  "deft sample [--checkpoint RUN_FOLDER] [algo=NAME] [OPTIONS]: restore held-out pictures with one algorithm, or draw from the prior (algo=ddim without a task)";

/** Groups that sample does not read. */
const FOREIGN = ["pretrain", "finetune_dataset", "compare"];

/** `deft sample`: options and files are checked before anything is loaded that needs a GPU. Throws UserError. */
export async function sample(args: readonly string[]): Promise<void> {
  if (parseArguments(args).flags.help) {
    process.stdout.write(helpText(USAGE, (group) => !FOREIGN.includes(group)));
    return;
  }
  const { config, warnings, flags } = await resolveSampling(args);
  if (!flags.dryRun) checkInputs(config);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runSampling(config);
}
