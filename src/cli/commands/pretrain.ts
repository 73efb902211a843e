import { parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import { resolveConfig } from "../../deft/config/resolve.ts";
import { configToYaml } from "../run-folder.ts";
import { runPretraining } from "../pretrain-run.ts";

const USAGE =
  "deft pretrain [OPTIONS]: train a prior on a data set (model=embedded, model=phantoms, or dataset.root=FOLDER)";

/** `deft pretrain`: trains a prior from scratch, resumable. Throws UserError. */
export async function pretrain(args: readonly string[]): Promise<void> {
  const { flags } = parseArguments(args);
  if (flags.help) {
    process.stdout.write(
      helpText(USAGE, (group) =>
        ["pretrain", "model", "dataset", "diffusion", "exp", "adapter"].includes(group),
      ),
    );
    return;
  }
  const { config, warnings } = resolveConfig(args);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runPretraining(config);
}
