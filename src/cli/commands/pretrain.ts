import { runPretraining } from "../pretrain-run.ts";
import { resolvePretraining } from "../resolve-run.ts";
import { configured } from "./configured.ts";

/** `deft pretrain`: trains a prior, from scratch or from `model.ckpt_path`, resumable. Throws UserError. */
export const pretrain = configured({
  name: "pretrain",
  usage:
    "deft pretrain [OPTIONS]: train a prior on a data set (model=embedded, model=phantoms, or dataset.root=FOLDER)",
  reads: (key) =>
    /^(pretrain|model|dataset|diffusion)\.|^exp\.(root|samples_root|ckpt_root|name|overwrite|resume|seed)$|^(loader\.num_workers|adapter)$/.test(
      key,
    ),
  resolve: resolvePretraining,
  run: runPretraining,
});
