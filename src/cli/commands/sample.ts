import { checkInputs } from "../check-inputs.ts";
import { resolveSampling } from "../resolve-trained.ts";
import { runSampling } from "../sample-run.ts";
import { configured, ofTraining } from "./configured.ts";

/** `deft sample`. Throws UserError. */
export const sample = configured({
  name: "sample",
  usage:
    "deft sample [--checkpoint RUN_FOLDER] [algo=NAME] [OPTIONS]: restore held-out pictures with one algorithm, or draw from the prior (algo=ddim without a task)",
  reads: (key) => !/^(pretrain|finetune_dataset|compare)\./.test(key) && !ofTraining(key),
  resolve: resolveSampling,
  check: checkInputs,
  run: runSampling,
});
