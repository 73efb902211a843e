import type { Config } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { checkInputs } from "../check-inputs.ts";
import { resolveRun } from "../resolve-run.ts";
import { runSoc } from "../soc-run.ts";
import { runTraining } from "../train-run.ts";
import { configured } from "./configured.ts";

/** `deft train`. Throws UserError. */
export const train = configured({
  name: "train",
  usage:
    "deft train [OPTIONS]: fine-tune an h-transform beside a frozen prior and restore held-out pictures; with algo=deft_soc learn one picture's measurement",
  reads: (key) => !/^(pretrain|compare|sample)\.|^exp\.checkpoint$/.test(key),
  instead: { "exp.checkpoint": "to start from a trained network pass htransform_model.ckpt_path=FILE" },
  async resolve(args) {
    const resolved = await resolveRun(args);
    checkAlgorithm(resolved.config);
    return resolved;
  },
  check: checkInputs,
  run: (config) => (config.algo.name === "deft_soc" ? runSoc(config) : runTraining(config)),
});

function checkAlgorithm({ algo, exp }: Config): void {
  // Dealt in turn they would follow from the order of files, and be others for held-out pictures.
  if (algo.name === "deft" && (exp.classes?.length ?? 0) > 1)
    throw new UserError(
      `exp.classes: train takes one class for all pictures; got [${exp.classes?.join(",")}]; expected one number, or a data set with a folder for each class`,
    );
  if (algo.name !== "deft" && algo.name !== "deft_soc")
    throw new UserError(
      `algo: train trains deft and deft_soc, ${algo.name} has nothing to train; expected deft sample algo=${algo.name} with the same options`,
    );
}
