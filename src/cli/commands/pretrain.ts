import { parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import { runPretraining } from "../pretrain-run.ts";
import { resolvePretraining } from "../resolve-run.ts";
import { configToYaml } from "../run-folder.ts";

const USAGE =
  "deft pretrain [OPTIONS]: train a prior on a data set (model=embedded, model=phantoms, or dataset.root=FOLDER)";

/** `deft pretrain`: trains a prior, from scratch or from `model.ckpt_path`, resumable. Throws UserError. */
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
  const { config, warnings } = await resolvePretraining(args);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runPretraining(config);
}
