import { parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import { chosenPrior, resolveConfig } from "../../deft/config/resolve.ts";
import { readPriorNetwork } from "../prior-file.ts";
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
  const { ckptPath } = chosenPrior(args);
  const stated = ckptPath === null ? {} : await readPriorNetwork(ckptPath);
  // The network to start from; what it is to put out may change.
  const network = Object.fromEntries(Object.entries(stated).filter(([k]) => k !== "model.prediction_type"));
  const { config, warnings } = resolveConfig(args, network);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runPretraining(config);
}
