// Configurations of `compare` and `sample`: with a checkpoint, those of its run.
import { existsSync } from "node:fs";
import path from "node:path";
import { parseArguments } from "../deft/config/arguments.ts";
import { showValue } from "../deft/config/fields.ts";
import { samplerOptions } from "../deft/config/groups.ts";
import { checkRanges, followRange } from "../deft/config/ranges.ts";
import { resolveConfig, type Resolved } from "../deft/config/resolve.ts";
import { fromConfig, toConfig, type Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { mergeResumed, resolveRun } from "./resolve-run.ts";
import { readConfig, otherTransform, storedConfig, TRANSFORM } from "./run-folder.ts";

/** Keys that these commands have of their own, whatever the checkpoint's run had. */
const OWN = /^(exp|loader|metrics|classifier|compare|sample|wandb_config|dist)\.|^(adapter|tensor_cores)$/;
/** Keys that they may change: they have no say in what the h-transform learned. */
const FREE = /^(dataset\.(name|root|subset_txt)|model\.(ckpt_path|use_fp16)|algo\.val_args\.eta)$/;
/** How deft_soc learns, which is free where the checkpoint is none of its own. */
const LEARNING =
  /^(algo\.soc\.(objective|sigma|num_steps|batch_size|iterations)|algo\.finetune_args\.(lr|lr_annealing)|algo\.ema\..*|algo\.val_args\.use_ema)$/;

/** Keys that decide on the one observation of a deft_soc run. */
const OBSERVATION = /^(exp\.(seed|classes)|loader\.shuffle)$/;

/** Keys of other commands for which `resolveComparison` has a message of its own. */
export const refusedByComparison = (key: string): boolean =>
  key === "exp.resume" || key === "exp.save_evolution" || samplerKeys.has(key);

/**
 * The configuration of `deft compare`: with a checkpoint its run's task, networks and pictures. Throws a UserError for a value that
 * the checkpoint was not trained with, and for a folder that holds no finished run.
 */
export async function resolveComparison(argv: readonly string[]): Promise<Resolved> {
  const { explicit } = parseArguments(argv);
  if (explicit.get("exp.resume") === true)
    throw new UserError("exp.resume: compare always starts anew; leave it out, or pass exp.overwrite=true");
  if (explicit.get("exp.save_evolution") === true)
    throw new UserError(
      "exp.save_evolution: compare keeps no steps; expected it of deft train or deft sample; leave it out",
    );
  const name = explicit.get("algo.name");
  if (name !== undefined && name !== "deft")
    throw new UserError(
      `algo: compare takes its algorithms from compare.algorithms; got algo=${String(name)}; expected compare.algorithms=${String(name)},...`,
    );
  const sampler = [...explicit.keys()].find((key) => samplerKeys.has(key));
  if (sampler !== undefined)
    throw new UserError(
      `${sampler}: for deft sample; expected compare.ALGORITHM.${sampler.slice("algo.".length)}, the option of one algorithm of the table`,
    );
  return resolveTrained(argv);
}

/**
 * The configuration of `deft sample`: the algorithm is the checkpoint's unless one is named, and the task as well. Without checkpoint
 * and task ddim draws from the prior alone.
 */
export async function resolveSampling(argv: readonly string[]): Promise<Resolved> {
  return (await resumedSampling(argv)) ?? (await newSampling(argv));
}

/** Keys that a resumed sampling may change: none of them has a say in the samples that are left to draw. */
const RESUMED =
  /^(exp\.(name|root|samples_root|ckpt_root|smoke_test|logfreq|resume|overwrite)$|adapter$|dist\.|wandb_config\.|loader\.num_workers$)/;

/** Files of other commands' runs. */
const FOREIGN = ["stats.jsonl", "comparison.json", TRANSFORM];

/** With --resume everything that the user leaves open as the earlier run had it; null: there is none, or none is wanted. */
async function resumedSampling(argv: readonly string[]): Promise<Resolved | null> {
  const { explicit } = parseArguments(argv);
  if (explicit.get("exp.resume") !== true) return null;
  if (explicit.get("exp.name") === undefined)
    throw new UserError(
      "exp.resume: which run is not said; pass exp.name=NAME, the folder of a run of deft sample",
    );
  const resolved = resolveConfig(argv);
  const { exp } = resolved.config;
  const stored = await storedConfig(resolved.config);
  if (stored === null) return null;
  const folder = path.join(exp.root, exp.samples_root, exp.name ?? "");
  if (FOREIGN.some((file) => existsSync(path.join(folder, file))))
    throw new UserError(`exp.name: ${folder} is no run of deft sample; pass another exp.name`);
  return { ...resolved, config: mergeResumed(stored, resolved.config, resolved.explicit, RESUMED) };
}

async function newSampling(argv: readonly string[]): Promise<Resolved> {
  const resolved = await resolveTrained(argv);
  const { config, explicit } = resolved;
  const { algo, exp, htransform_model: transform } = config;
  if (algo.name === "deft" && transform.ckpt_path === null)
    throw new UserError(
      "algo: deft samples with a trained h-transform; pass --checkpoint RUN_FOLDER, or another algorithm such as algo=dps",
    );
  if (algo.name === "deft_soc" && transform.ckpt_path !== null && exp.checkpoint === null)
    throw new UserError(
      "htransform_model.ckpt_path: deft_soc learns for each observation; pass --checkpoint RUN_FOLDER for one that is learned, or leave it out",
    );
  const { preset } = parseArguments(argv);
  const hasTask =
    exp.checkpoint !== null ||
    preset !== null ||
    ["algo.deg", "likelihood.name", "experiment.name"].some((key) => explicit.has(key));
  const isNamed = explicit.has("sample.unconditional");
  const unconditional = isNamed ? config.sample.unconditional : algo.name === "ddim" && !hasTask;
  if (unconditional && algo.name !== "ddim")
    throw new UserError(
      `sample.unconditional: algo=${algo.name} restores a measurement; pass algo=ddim, or leave it out`,
    );
  if (!unconditional && !hasTask)
    throw new UserError(
      `algo.deg: no task given; pass algo.deg=TASK, such as algo.deg=sr4, for algo=${algo.name}`,
    );
  return { ...resolved, config: { ...config, sample: { ...config.sample, unconditional } } };
}

async function resolveTrained(argv: readonly string[]): Promise<Resolved> {
  const { explicit } = parseArguments(argv);
  const checkpoint = explicit.get("exp.checkpoint") ?? null;
  if (checkpoint === null) return resolveRun(argv);
  const stored = await readConfig(String(checkpoint));
  const resolved = await resolveRun([...taskWords(stored), ...argv]);
  return { ...resolved, config: mergeTrained(stored, resolved, String(checkpoint)) };
}

/** Algorithm, prior and task of the stored run as words, weaker than what the user writes after them. */
function taskWords({ algo, model, likelihood: { forward_op: o } }: Config): string[] {
  const files = {
    "model.ckpt_path": model.ckpt_path,
    "likelihood.forward_op.mask_filename": o.mask_filename,
    "likelihood.forward_op.kernel_filename": o.kernel_filename,
    "likelihood.forward_op.weights": o.weights,
  };
  const named = Object.entries(files).flatMap(([key, file]) => (file === null ? [] : [`${key}='${file}'`]));
  return [`algo=${algo.name}`, `model=${model.name}`, `algo.deg=${algo.deg}`, ...named];
}

const samplerKeys: ReadonlySet<string> = new Set(Object.keys(samplerOptions).map((key) => `algo.${key}`));

/** The run's configuration with what the command has of its own; what would make it another task is refused. */
function mergeTrained(stored: Config, { config, explicit }: Resolved, folder: string): Config {
  const values = fromConfig(stored);
  const given = fromConfig(config);
  const isSame = config.algo.name === stored.algo.name;
  // What deft_soc learned was measured with the seed of its run.
  const isFixed = (key: string) => stored.algo.name === "deft_soc" && isSame && OBSERVATION.test(key);
  const isOwn = (key: string) =>
    (OWN.test(key) && !isFixed(key)) || key === "algo.name" || samplerKeys.has(key);
  const isFree = (key: string) => FREE.test(key) || (stored.algo.name === "deft" && LEARNING.test(key));
  for (const key of explicit) {
    const [trained, value] = [values.get(key) ?? null, given.get(key) ?? null];
    if (!isOwn(key) && !isFree(key) && showValue(trained) !== showValue(value))
      throw new UserError(
        `${key}: ${folder} was not trained for ${showValue(value)}; expected ${showValue(trained)}, or a checkpoint of that task`,
      );
  }
  const otherData = [...explicit].some((key) => key.startsWith("dataset."));
  for (const [key, value] of given) {
    if (isOwn(key) || (isFree(key) && explicit.has(key)) || (otherData && key.startsWith("dataset.")))
      values.set(key, value);
  }
  followRange(values, explicit);
  checkRanges(values);
  values.set("htransform_model.ckpt_path", isSame ? weightsIn(folder, stored, toConfig(values)) : null);
  return toConfig(values);
}

/** The run's weights: those that it evaluated, or where algo.val_args.use_ema is another the other ones. */
function weightsIn(folder: string, stored: Config, { algo }: Config): string {
  const isAverage = algo.val_args.use_ema;
  if (isAverage === stored.algo.val_args.use_ema) return path.join(folder, TRANSFORM);
  const file = path.join(folder, otherTransform(isAverage));
  if (existsSync(file)) return file;
  throw new UserError(
    `algo.val_args.use_ema: ${folder} holds no ${otherTransform(isAverage)}; leave it out, or train again`,
  );
}
