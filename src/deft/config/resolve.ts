import { algorithmNames, type AlgorithmName } from "../algorithms/index.ts";
import { UserError } from "../errors.ts";
import { parseArguments, type Arguments, type Flags } from "./arguments.ts";
import { checkClassNumbers } from "./classes.ts";
import {
  conditioningChannels,
  degradationOf,
  likelihoodOf,
  operatorOf,
  parseDegradation,
  partShapes,
} from "./degradation.ts";
import type { OperatorFacts } from "./degradation.ts";
import { experimentPresets } from "./experiments.ts";
import { showValue, toRaw, type Value } from "./fields.ts";
import {
  algorithmPreset,
  datasetFor,
  defaultChannelMult,
  embeddedRun,
  htransformPresets,
  likelihoodPresets,
  modelFor,
  modelPresets,
  shippedPriors,
  type Preset,
} from "./presets.ts";
import { checkRanges, followRange } from "./ranges.ts";
import { fields, toConfig, type Config } from "./schema.ts";
import { checkNetwork } from "./network.ts";

export interface Resolved {
  readonly config: Config;
  /** The keys that the user named; `model=x` counts as `model.name`. */
  readonly explicit: ReadonlySet<string>;
  /** Plain lines worth a user's notice, in the order in which they arose. */
  readonly warnings: readonly string[];
  readonly flags: Flags;
}

/**
 * The configuration that the words after the command resolve to (spec, section 9): the schema's defaults, then
 * the presets of the chosen groups, then `network` (the `model.*` values that the prior's weight file states,
 * see prior-metadata.ts), then what the user named, wherever it stands. Throws a UserError of one line for an
 * unknown key, a wrong value or two values that contradict each other. Without a task (`hasTask`) what only that decides is neither
 * settled nor checked.
 */
export function resolveConfig(argv: readonly string[], network: Preset = {}, hasTask = true): Resolved {
  const args = parseArguments(argv);
  const { explicit } = args;
  const warnings: string[] = [];
  const chosen = choose(args);
  refuseForeignOptions(chosen, explicit);

  const values = new Map<string, Value>([...fields].map(([key, field]) => [key, field.default]));
  const lay = (preset: Preset | undefined) => {
    for (const [key, value] of Object.entries(preset ?? {})) values.set(key, value);
  };
  const likelihood = likelihoodOf(chosen.deg);
  lay(algorithmPreset(chosen.algo, chosen.deg));
  lay(likelihoodPresets[likelihood.replace(/^sr\d+$/, "sr")]);
  lay(modelPresets[chosen.model]);
  lay(network);
  lay(htransformPresets[chosen.htransform]);
  if (Object.hasOwn(shippedPriors, chosen.model)) lay(embeddedRun);
  lay(experimentPresets[chosen.experiment ?? ""]?.values);
  // Epochs that the user names are not cut short.
  if (explicit.has("algo.finetune_args.epochs")) lay({ "algo.finetune_args.max_steps": null });
  for (const [key, value] of [...schedule(explicit), ...explicit]) {
    const trained = network[key];
    if (value === null && (trained !== undefined || key === "model.image_size")) continue;
    if (trained !== undefined && showValue(trained) !== showValue(value)) {
      const got = `got ${showValue(value)}; expected ${showValue(trained)}`;
      throw new UserError(
        `${key}: the prior's weight file was trained with another value; ${got}, or leave it out`,
      );
    }
    values.set(key, value);
  }
  values.set("experiment.name", chosen.experiment);
  values.set("algo.name", chosen.algo);
  values.set("algo.deg", chosen.deg);
  values.set("likelihood.name", likelihood);
  values.set("model.name", chosen.model);
  values.set("dataset.name", chosen.dataset);
  values.set("htransform_model.name", chosen.htransform);
  values.set("diffusion.name", `${values.get("diffusion.beta_schedule")}1000`);

  const follow = (key: string, value: Value, why: string) => agree(values, explicit, key, value, why);
  followSides(values, chosen.model, follow);
  followData(values);
  checkNetwork("model", values);
  if (hasTask) {
    followTask(values, chosen.deg, follow);
    settleNoise(values, explicit, warnings);
    checkNetwork("htransform_model", values);
    followRange(values, explicit);
    checkRanges(values);
  }
  notice(values, warnings);
  const config = toConfig(values);
  checkClassNumbers(config);
  return { config, explicit: new Set(explicit.keys()), warnings, flags: args.flags };
}

/** The prior that the words choose, for reading its weight file before the configuration is resolved. */
export function chosenPrior(argv: readonly string[]): {
  readonly model: string;
  readonly ckptPath: string | null;
} {
  const args = parseArguments(argv);
  const path = args.explicit.get("model.ckpt_path");
  return { model: choose(args).model, ckptPath: typeof path === "string" ? path : null };
}

interface Chosen {
  readonly experiment: string | null;
  readonly algo: AlgorithmName;
  readonly deg: string;
  readonly model: string;
  readonly dataset: string;
  readonly htransform: string;
}

/** The groups' choices: the user's, else what the user's other choices imply. */
function choose({ explicit, choices, preset }: Arguments): Chosen {
  const given = (key: string) => explicit.get(key) as string | undefined;
  const data = choices.get("dataset") ?? preset?.data.toLowerCase();
  const loader = choices.get("loader");
  const written = data ?? (loader === "default" ? undefined : loader);
  const experiment = given("experiment.name") ?? null;
  const own = experiment === null ? undefined : experimentPresets[experiment];
  if (own) refuseOther(experiment, own, given);
  const model = given("model.name") ?? own?.model ?? (written === undefined ? "embedded" : modelFor(written));
  let dataset = given("dataset.name");
  if (dataset === undefined && preset !== null) dataset = readChoice("--config", "dataset.name", preset.data);
  if (dataset === undefined && loader !== undefined && loader !== "default")
    dataset = datasetFor(modelFor(loader));
  if (dataset === undefined) {
    dataset = datasetFor(model);
    const generated = dataset === "embedded" || dataset === "phantoms";
    if (generated && typeof explicit.get("dataset.root") === "string") dataset = "folder";
  }
  return {
    experiment,
    algo: (given("algo.name") as AlgorithmName | undefined) ?? "deft",
    deg: own?.deg ?? chooseTask(given("algo.deg"), given("likelihood.name"), preset?.task),
    model,
    dataset,
    htransform:
      given("htransform_model.name") ?? (Object.hasOwn(shippedPriors, model) ? "embedded" : "default"),
  };
}

/** An experiment is one task on one prior. */
function refuseOther(
  experiment: string | null,
  { deg, model }: { deg: string; model: string },
  given: (key: string) => string | undefined,
): void {
  const own = { "algo.deg": deg, "model.name": model, "likelihood.name": likelihoodOf(deg) };
  for (const [key, value] of Object.entries(own)) {
    const other = given(key) ?? value;
    if (other !== value)
      throw new UserError(
        `experiment: ${experiment} is ${key.replace(".name", "")}=${value}; got ${other}; leave one of the two out`,
      );
  }
}

function chooseTask(
  deg: string | undefined,
  likelihood: string | undefined,
  task: string | undefined,
): string {
  if (deg !== undefined) {
    if (likelihood !== undefined && likelihoodOf(deg) !== likelihood) {
      const fix = `expected likelihood=${likelihoodOf(deg)} or algo.deg=${degradationOf(likelihood)}`;
      throw new UserError(`likelihood: does not go with algo.deg=${deg}; got ${likelihood}; ${fix}`);
    }
    return deg;
  }
  if (likelihood !== undefined) return readChoice("likelihood", "algo.deg", degradationOf(likelihood));
  return task === undefined
    ? "sr4"
    : readChoice("--config", "algo.deg", degradationOf(task === "sr" ? "sr4" : task));
}

/** Reads a word that stands for the value of `key`; a refusal names `source` as well. */
function readChoice(source: string, key: string, word: string): string {
  try {
    return String(fields.get(key)?.parse(key, { text: word, quoted: false }));
  } catch (error) {
    throw error instanceof UserError ? new UserError(`${source}: ${error.message}`) : error;
  }
}

function refuseForeignOptions({ algo, deg }: Chosen, explicit: ReadonlyMap<string, Value>): void {
  const has = (name: AlgorithmName, key: string) => Object.hasOwn(algorithmPreset(name, deg), key);
  for (const key of explicit.keys()) {
    const owners = algorithmNames.filter((name) => has(name, key));
    if (owners.length === 0 || owners.includes(algo)) continue;
    throw new UserError(
      `${key}: not an option of algo=${algo}; expected algo=${owners.join(", ")}, or leave it out`,
    );
  }
}

/** `diffusion=cosine1000` sets the shape of the schedule. */
function schedule(explicit: ReadonlyMap<string, Value>): [string, Value][] {
  const name = explicit.get("diffusion.name");
  return name === undefined ? [] : [["diffusion.beta_schedule", String(name).replace(/\d+$/, "")]];
}

/** Sets a key that follows from others; a value that the user named has to be the same. */
function agree(
  values: Map<string, Value>,
  explicit: ReadonlyMap<string, Value>,
  key: string,
  value: Value,
  why: string,
): void {
  const given = explicit.get(key);
  if (given !== undefined && given !== null && showValue(given) !== showValue(value)) {
    throw new UserError(
      `${key}: disagrees with ${why}; got ${showValue(given)}; expected ${showValue(value)}`,
    );
  }
  values.set(key, value);
}

type Follow = (key: string, value: Value, why: string) => void;

/** The image side and the channels are the prior's, everywhere. */
function followSides(values: Map<string, Value>, model: string, follow: Follow): void {
  const side = values.get("model.image_size") ?? null;
  const channels = values.get("model.in_channels") ?? null;
  follow("dataset.image_size", side, `the side of model=${model}`);
  follow("htransform_model.image_size", side, `the side of model=${model}`);
  follow("dataset.channels", channels, `the pictures of model=${model}`);
  follow("htransform_model.out_channels", channels, `the pictures of model=${model}`);
  for (const group of ["model", "htransform_model"]) {
    const key = `${group}.channel_mult`;
    if (values.get(key) === null || (values.get(key) as readonly number[]).length === 0) {
      values.set(key, defaultChannelMult(Number(side)));
    }
  }
}

/** What the degradation decides: the operator's options and the input channels of the h-transform. */
function followTask(values: Map<string, Value>, deg: string, follow: Follow): void {
  const channels = Number(values.get("model.in_channels"));
  const side = Number(values.get("model.image_size"));
  partShapes(deg, [channels, side, side]);
  const operator = operatorOf(deg);
  follow("likelihood.forward_op.scale", operator.scale, `algo.deg=${deg}`);
  followMask(values, deg, operator, follow);
  followFiles(values, deg, operator.files);
  const parts = parseDegradation(deg);
  const isPhaseless = parts.some(({ kind }) => kind.likelihood === "phase_retrieval");
  if (values.get("likelihood.convention") === "pinv" && isPhaseless)
    throw new UserError(
      `likelihood.convention: pinv does not serve algo.deg=${deg}, which has no pseudo-inverse at x_t; expected exact or deft`,
    );
  const useX0hat = values.get("algo.use_x0hat") === true;
  const needs = conditioningChannels(deg, channels, useX0hat);
  const seen = `${channels}-channel pictures and algo.use_x0hat=${useX0hat}`;
  follow("htransform_model.in_channels", needs, `algo.deg=${deg} on ${seen}`);
}

/** Masks come from where algo.deg says, else from the file that is given, else free-form ones are drawn. */
function followMask(values: Map<string, Value>, deg: string, operator: OperatorFacts, follow: Follow): void {
  const named = operator.mask;
  const key = "likelihood.forward_op.mask";
  const file = values.get("likelihood.forward_op.mask_filename") ?? null;
  if (!operator.isMasked) follow(key, null, `algo.deg=${deg}`);
  else if (named !== null) follow(key, named, `algo.deg=${deg}`);
  else if (values.get(key) === null) values.set(key, file === null ? "freeform" : "file");
  const mask = values.get(key);
  if (mask === "file" && file === null) {
    throw new UserError(
      `likelihood.forward_op.mask_filename: not given; expected a mask file with ${named === null ? `${key}=file` : `algo.deg=${deg}, or a word whose masks are drawn, such as algo.deg=inp_freeform or inp_box`}`,
    );
  }
  if (mask !== "file" && file !== null) {
    throw new UserError(
      `likelihood.forward_op.mask_filename: not used with algo.deg=${deg} and mask=${mask}; got ${file}; expected algo.deg=inp, or no file`,
    );
  }
}

/** A degradation that needs a file has one, and no other has. */
function followFiles(values: ReadonlyMap<string, Value>, deg: string, needed: ReadonlySet<string>): void {
  for (const name of ["kernel_filename", "weights"]) {
    const key = `likelihood.forward_op.${name}`;
    const file = values.get(key) ?? null;
    if (needed.has(name) && file === null)
      throw new UserError(`${key}: not given; expected a file with algo.deg=${deg}`);
    if (!needed.has(name) && file !== null)
      throw new UserError(`${key}: not used with algo.deg=${deg}; got ${showValue(file)}; leave it out`);
  }
}

/** Pictures to fine-tune on are the data set's unless the user names others: a folder, or another list of the same. */
function followData(values: Map<string, Value>): void {
  const name = values.get("dataset.name") ?? null;
  const root = values.get("dataset.root") ?? null;
  if ((name === "embedded" || name === "phantoms") && root !== null) {
    throw new UserError(
      `dataset.root: dataset=${name} reads no folder; got ${root}; expected dataset=folder, or no root`,
    );
  }
  if (values.get("finetune_dataset.name") !== null) return;
  if (values.get("finetune_dataset.root") !== null) values.set("finetune_dataset.name", "folder");
  else if (values.get("finetune_dataset.subset_txt") !== null) values.set("finetune_dataset.name", name);
}

/** sigma_y: `algo.sigma_y` when given, else the likelihood's; both hold the resolved value (spec, section 10). */
function settleNoise(
  values: Map<string, Value>,
  explicit: ReadonlyMap<string, Value>,
  warnings: string[],
): void {
  const own = values.get("algo.sigma_y") ?? null;
  const other = values.get("likelihood.forward_op.noise_std") ?? null;
  if (own !== null && own !== other && explicit.has("likelihood.forward_op.noise_std")) {
    warnings.push(`algo.sigma_y: ${own} is used; likelihood.forward_op.noise_std=${other} is not`);
  }
  values.set("algo.sigma_y", own ?? other);
  const changed = parseDegradation(String(values.get("algo.deg"))).some(({ kind }) => !kind.isIdentity);
  if (!changed && values.get("algo.sigma_y") === 0)
    warnings.push(
      "algo.sigma_y: 0 with algo.deg=deno, so that y is the picture itself; pass such as algo.sigma_y=0.2",
    );
  values.set("likelihood.forward_op.noise_std", own ?? other);
}

function notice(values: ReadonlyMap<string, Value>, warnings: string[]): void {
  if (values.get("wandb_config.log") === true)
    warnings.push("wandb_config.log: nothing is sent; the run folder holds the log");
  const processes =
    Number(values.get("dist.num_processes_per_node")) * Number(values.get("dist.num_proc_node"));
  if (values.get("htransform_model.use_fp16") === true)
    warnings.push(
      "htransform_model.use_fp16: not applied; what trains is float32 (model.use_fp16 is for the prior)",
    );
  if (processes > 1) warnings.push(`dist: one process runs on one adapter, not ${processes}`);
}

/**
 * Reads a configuration back from plain data, such as a parsed config.yaml. Keys that are missing take their
 * defaults; an unknown key or a wrong value throws a UserError.
 */
export function configFromObject(data: unknown): Config {
  const values = new Map<string, Value>([...fields].map(([key, field]) => [key, field.default]));
  const walk = (node: unknown, prefix: string) => {
    if (typeof node !== "object" || node === null || Array.isArray(node)) {
      throw new UserError(`${prefix || "config"}: not a group of keys; expected key: value pairs`);
    }
    for (const [name, value] of Object.entries(node)) {
      const key = prefix === "" ? name : `${prefix}.${name}`;
      const field = fields.get(key);
      if (field !== undefined) values.set(key, field.parse(key, toRaw(value)));
      else if ([...fields.keys()].some((known) => known.startsWith(`${key}.`))) walk(value, key);
      else throw new UserError(`${key}: no such key`);
    }
  };
  walk(data, "");
  return toConfig(values);
}
