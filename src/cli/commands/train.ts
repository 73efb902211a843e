import { helpText } from "../../deft/config/help.ts";
import { parseArguments } from "../../deft/config/arguments.ts";
import type { Config } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { checkInputs } from "../check-inputs.ts";
import { resolveRun } from "../resolve-run.ts";
import { configToYaml } from "../run-folder.ts";
import { runSoc } from "../soc-run.ts";
import { runTraining } from "../train-run.ts";

const USAGE =
  "deft train [OPTIONS]: fine-tune an h-transform beside a frozen prior and restore held-out pictures; with algo=deft_soc learn one picture's measurement";

/** `deft train`: options and files are checked before anything is loaded that needs a GPU. Throws UserError. */
export async function train(args: readonly string[]): Promise<void> {
  if (parseArguments(args).flags.help) {
    process.stdout.write(helpText(USAGE, (group) => !["pretrain", "compare"].includes(group)));
    return;
  }
  const { config, warnings, flags } = await resolveRun(args);
  checkAlgorithm(config);
  if (!flags.dryRun) checkInputs(config);
  for (const line of warnings) console.error(`deft: ${line}`);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else if (config.algo.name === "deft_soc") await runSoc(config);
  else await runTraining(config);
}

function checkAlgorithm({ algo, exp, model }: Config): void {
  if (exp.checkpoint !== null)
    throw new UserError(
      `exp.checkpoint: only sample and compare read it; got ${exp.checkpoint}; train starts from htransform_model.ckpt_path=FILE`,
    );
  if (algo.name !== "deft" && algo.name !== "deft_soc")
    throw new UserError(
      `algo: train trains deft and deft_soc, ${algo.name} has nothing to train; expected deft sample algo=${algo.name} with the same options`,
    );
  if (model.class_cond)
    throw new UserError(
      `model.class_cond: train takes no classes; got model=${model.name}; expected a prior that takes none, or deft sample and deft compare with this one`,
    );
}
