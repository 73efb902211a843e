import { runPretraining } from "../pretrain-run.ts";
import { resolvePretraining } from "../resolve-run.ts";
import { configured } from "./configured.ts";

/** `deft pretrain`: trains a prior, from scratch or from `model.ckpt_path`, resumable. Throws UserError. */
export const pretrain = configured({
  command: "pretrain",
  usage:
    "deft pretrain [OPTIONS]: train a prior on a data set (model=embedded, model=phantoms, or dataset.root=FOLDER)",
  reads: (group) => ["pretrain", "model", "dataset", "diffusion", "exp", "adapter"].includes(group),
  resolve: resolvePretraining,
  run: runPretraining,
});
