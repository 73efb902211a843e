import { checkInputs } from "../check-inputs.ts";
import { runComparison } from "../compare-run.ts";
import { refusedByComparison, resolveComparison } from "../resolve-trained.ts";
import { configured, ofTraining } from "./configured.ts";

/** `deft compare`. Throws UserError. */
export const compare = configured({
  name: "compare",
  usage:
    "deft compare [--checkpoint RUN_FOLDER] [OPTIONS]: several algorithms on one task, with the same measurements and seeds",
  reads: (key) => !/^(pretrain|finetune_dataset|sample)\./.test(key) && !ofTraining(key),
  refuses: refusedByComparison,
  resolve: resolveComparison,
  check: checkInputs,
  run: runComparison,
});
