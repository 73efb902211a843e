import path from "node:path";
import { parseArguments } from "../deft/config/arguments.ts";
import { showValue } from "../deft/config/fields.ts";
import type { Resolved } from "../deft/config/resolve.ts";
import { fromConfig, toConfig, type Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { resolveRun } from "./resolve-run.ts";
import { readConfig, TRANSFORM } from "./run-folder.ts";

/** Keys that a comparison has of its own, whatever the checkpoint's run had. */
const OWN = /^(exp|loader|metrics|compare|wandb_config|dist)\.|^(adapter|tensor_cores)$/;
/** Keys that it may change: they have no say in what the h-transform learned. */
const FREE = /^(dataset\.(name|root|subset_txt)|model\.(ckpt_path|use_fp16))$/;

/**
 * The configuration of `deft compare`: with a checkpoint its run's task, networks and pictures. Throws a UserError for a value that
 * the checkpoint was not trained with, and for a folder that holds no finished run.
 */
export async function resolveComparison(argv: readonly string[]): Promise<Resolved> {
  const { explicit } = parseArguments(argv);
  if (explicit.get("exp.resume") === true)
    throw new UserError("exp.resume: compare always starts anew; leave it out, or pass exp.overwrite=true");
  const checkpoint = explicit.get("compare.checkpoint") ?? null;
  const stored = checkpoint === null ? null : await readConfig(String(checkpoint));
  const resolved = await resolveRun([...(stored ? taskWords(stored) : []), ...argv]);
  const { config } = resolved;
  if (config.algo.name !== "deft")
    throw new UserError(
      `algo: compare takes its algorithms from compare.algorithms; got algo=${config.algo.name}; expected compare.algorithms=${config.algo.name},...`,
    );
  return stored === null
    ? resolved
    : { ...resolved, config: mergeTrained(stored, resolved, String(checkpoint)) };
}

/** Prior and task of the stored run as words, weaker than what the user writes after them. */
function taskWords({ algo, model, likelihood: { forward_op: o } }: Config): string[] {
  const files = {
    "model.ckpt_path": model.ckpt_path,
    "likelihood.forward_op.mask_filename": o.mask_filename,
    "likelihood.forward_op.kernel_filename": o.kernel_filename,
    "likelihood.forward_op.weights": o.weights,
  };
  const named = Object.entries(files).flatMap(([key, file]) => (file === null ? [] : [`${key}='${file}'`]));
  return [`model=${model.name}`, `algo.deg=${algo.deg}`, ...named];
}

/** The run's configuration with what a comparison has of its own; what would make it another task is refused. */
function mergeTrained(stored: Config, { config, explicit }: Resolved, folder: string): Config {
  const values = fromConfig(stored);
  const given = fromConfig(config);
  for (const key of explicit) {
    const [trained, value] = [values.get(key) ?? null, given.get(key) ?? null];
    if (!OWN.test(key) && !FREE.test(key) && showValue(trained) !== showValue(value))
      throw new UserError(
        `${key}: ${folder} was not trained for ${showValue(value)}; expected ${showValue(trained)}, or a checkpoint of that task`,
      );
  }
  const otherData = [...explicit].some((key) => key.startsWith("dataset."));
  for (const [key, value] of given) {
    const isOwn = OWN.test(key) || (FREE.test(key) && explicit.has(key));
    if (isOwn || (otherData && key.startsWith("dataset."))) values.set(key, value);
    if (key.startsWith("finetune_dataset.")) values.set(key, null);
  }
  values.set("htransform_model.ckpt_path", path.join(folder, TRANSFORM));
  return toConfig(values);
}
