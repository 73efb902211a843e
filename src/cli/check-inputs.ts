import { statSync, type Stats } from "node:fs";
import { RANDOM_WEIGHTS } from "../deft/config/forward-op.ts";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { priorFile } from "./prior-file.ts";

/**
 * Checks that the files which a run reads are there, before any GPU work: prior, data sets, masks, weights.
 * Throws one UserError with a line for each that is missing: which key, which file, what to pass.
 */
export function checkInputs(config: Config): void {
  const { model, dataset, finetune_dataset: finetune, likelihood, htransform_model: htransform } = config;
  // What a checkpoint was trained on is not read again.
  const trains = config.exp.checkpoint === null;
  const missing = [
    checkPrior(model),
    // Drawings from the prior alone read no pictures.
    ...(config.sample.unconditional
      ? []
      : [
          checkData("dataset", dataset.name, dataset.root),
          trains ? checkFinetuning(finetune, dataset) : null,
        ]),
    checkFile("dataset.subset_txt", dataset.subset_txt, "a list of pictures, or leave it out"),
    trains
      ? checkFile("finetune_dataset.subset_txt", finetune.subset_txt, "a list of pictures, or leave it out")
      : null,
    likelihood.forward_op.mask_filename !== null && statOf(likelihood.forward_op.mask_filename) === null
      ? absent(
          "likelihood.forward_op.mask_filename",
          likelihood.forward_op.mask_filename,
          "a mask picture, a folder or an .npz",
        )
      : null,
    ...checkOperator(likelihood.forward_op),
    checkFile("htransform_model.ckpt_path", htransform.ckpt_path, "a weight file, or leave it out"),
    checkClassifier(config.classifier),
    ...checkMetrics(config.metrics),
  ];
  refuse(missing);
}

/** The same for the networks that measure. */
export function checkMeasuring({ classifier, metrics }: Config): void {
  refuse([checkClassifier(classifier), ...checkMetrics(metrics)]);
}

/** The same for a trained run: its prior, and what its operator is made of. */
export function checkTrained({ model, likelihood }: Config): void {
  refuse([checkPrior(model), ...checkOperator(likelihood.forward_op)]);
}

function refuse(lines: readonly (string | null)[]): void {
  const missing = lines.filter((line) => line !== null);
  if (missing.length > 0) throw new UserError(missing.slice(0, 3).join("\n"));
}

function checkOperator(o: Config["likelihood"]["forward_op"]): (string | null)[] {
  const { kernel_filename: kernel } = o;
  const weights = o.weights === RANDOM_WEIGHTS ? null : o.weights;
  return [
    checkFile("likelihood.forward_op.kernel_filename", kernel, "an .npy of two axes or a picture"),
    checkFile("likelihood.forward_op.weights", weights, "the kernel-wizard's weights"),
  ];
}

function checkPrior(model: Config["model"]): string | null {
  const file = priorFile(model.name, model.ckpt_path);
  if (file === null) {
    return `model.ckpt_path: model=${model.name} comes without a weight file; pass model.ckpt_path=FILE, or model=embedded for the prior that is included`;
  }
  return checkFile(
    "model.ckpt_path",
    file,
    "a weight file, or model=embedded for the prior that is included",
  );
}

function checkClassifier({ name, ckpt_path: file }: Config["classifier"]): string | null {
  if (file === null && name !== "none")
    return `classifier.ckpt_path: classifier=${name} comes without a weight file; pass classifier.ckpt_path=FILE, such as ADM's 256x256_classifier.pt`;
  return checkFile("classifier.ckpt_path", file, "a weight file, or leave it out");
}

function checkMetrics(metrics: Config["metrics"]): (string | null)[] {
  const { lpips_path: heads, lpips_trunk_path: trunk, inception_path: inception } = metrics;
  return [
    heads === null && trunk !== null
      ? "metrics.lpips_path: none given beside metrics.lpips_trunk_path; pass the linear heads of the LPIPS release"
      : checkFile("metrics.lpips_path", heads, "the linear heads of the LPIPS release, or leave it out"),
    checkFile("metrics.lpips_trunk_path", trunk, "torchvision's weights of its network, or leave it out"),
    checkFile("metrics.inception_path", inception, "pytorch-fid's Inception-v3, or leave it out"),
  ];
}

function checkData(group: string, name: string, root: string | null): string | null {
  if (name === "embedded" || name === "phantoms") return null;
  if (root === null) {
    return `${group}.root: ${group}=${name} needs a folder; pass ${group}.root=FOLDER, or dataset=embedded for the pictures that are included`;
  }
  return statOf(root) === null
    ? absent(`${group}.root`, root, `${group}.root=FOLDER with the pictures`)
    : null;
}

function checkFinetuning(own: Config["finetune_dataset"], dataset: Config["dataset"]): string | null {
  if (own.root === null && dataset.root !== null) return null;
  return own.name === null ? null : checkData("finetune_dataset", own.name, own.root);
}

function checkFile(key: string, file: string | null, pass: string): string | null {
  if (file === null) return null;
  const found = statOf(file);
  if (found === null) return absent(key, file, pass);
  return found.isFile() ? null : `${key}: not a file; got ${file}; pass ${pass}`;
}

function absent(key: string, file: string, pass: string): string {
  return `${key}: no such file or folder; got ${file}; pass ${pass}`;
}

function statOf(file: string): Stats | null {
  try {
    return statSync(file, { throwIfNoEntry: false }) ?? null;
  } catch {
    return null; // a folder on the way that may not be read, or a name that no file can have
  }
}
