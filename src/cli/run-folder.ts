// The folder of a run: its name, its config.yaml, and what happens when it is already there.
import { existsSync } from "node:fs";
import { mkdir, readdir, readFile, realpath, rename, rm } from "node:fs/promises";
import path from "node:path";
import { Document, parse, visit } from "yaml";
import { editDistance, nearest } from "../deft/config/nearest.ts";
import { configFromObject } from "../deft/config/resolve.ts";
import { showValue } from "../deft/config/fields.ts";
import { checkFolderName, fromConfig, type Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { makeFolder } from "../io/make-folder.ts";
import { writeAside } from "../io/write-aside.ts";
import { checkFolder } from "./output-place.ts";

export interface RunFolder {
  readonly name: string;
  /** `<exp.root>/<exp.samples_root>/<exp.name>`; holds config.yaml. */
  readonly path: string;
  /** `<exp.ckpt_root>/<exp.name>`, by default under `<exp.root>/model_ckpts`; not created here. */
  readonly checkpoints: string;
  /** The run's configuration, `exp.name` filled in, as config.yaml holds it. */
  readonly config: Config;
  /** An earlier run of this name goes on here. */
  readonly resumed: boolean;
}

const CONFIG = "config.yaml";
/** The trained h-transform in the folder of a finished run. */
export const TRANSFORM = "htransform.safetensors";
/** The same network's other weights: their moving average where TRANSFORM is without it, else those as trained. */
export const otherTransform = (isAverage: boolean): string =>
  isAverage ? "htransform_ema.safetensors" : "htransform_raw.safetensors";
/** What learning took, in the folder of a run of `deft train algo=deft_soc`. */
export const LEARNING = "learning.json";
/** The last file of a run, except `compare`'s. */
export const SUMMARY = "summary.json";

/** Writes a file aside, flushes it to the disk and renames it, so that no reader ever sees half of it. */
export async function atomicWrite(file: string, data: string | Uint8Array): Promise<void> {
  await writeAside(file, (handle) => handle.writeFile(data));
}

/** The configuration as YAML, lists on one line. */
export function configToYaml(config: Config): string {
  const document = new Document(config);
  visit(document, { Seq: (_, node) => void (node.flow = true) });
  return document.toString({ lineWidth: 0 });
}

/** Reads a configuration back. Keys that are missing take their defaults. Throws a UserError that names `file`. */
export function configFromYaml(yaml: string, file: string): Config {
  try {
    return configFromObject(parse(yaml, { prettyErrors: false }));
  } catch (error) {
    const line = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new UserError(`${file}: not a configuration of this program; ${line}`);
  }
}

/** The configuration of the finished `deft train` run in a folder; a UserError says what the folder lacks. */
export async function readConfig(folder: string): Promise<Config> {
  const names = await namesIn(folder).catch((): string[] => []);
  if (!names.includes(CONFIG))
    throw new UserError(
      `--checkpoint: ${folder} holds no ${CONFIG}; expected the folder of a finished train run, such as outputs/samples/sr4-001`,
    );
  if (!names.includes(TRANSFORM))
    throw new UserError(
      `--checkpoint: ${folder} holds no ${TRANSFORM}, so it is no finished train run; go on with it by deft train --resume exp.name=${path.basename(path.resolve(folder))}, or pass another folder`,
    );
  const file = path.join(folder, CONFIG);
  return configFromYaml(await readFile(file, "utf8"), file);
}

/**
 * Makes the run's folder and writes config.yaml, or opens that of an earlier run with `exp.resume` (which
 * goes before `exp.overwrite`). With no `exp.name` a new folder is named after the task: sr4-001, sr4-002, ...
 * (with `exp.resume` the last of them is taken). `exp.overwrite` moves the earlier run and its checkpoints
 * aside and deletes them only once the new folder stands; a process killed in between loses nothing, the
 * next call puts things right. `label`: what a new folder is named after instead of the task. Throws a UserError for a run
 * that is there, for a folder that is none of ours, for a name that is no folder name and for places that cannot be written.
 */
export function openRunFolder(config: Config, label = config.algo.deg): Promise<RunFolder> {
  return withPlaces(config, async () => {
    const { exp } = config;
    const name = exp.name ?? (exp.resume ? await lastName(config, label) : null);
    const place = name === null ? null : runPaths(config, name);
    const roots = rootsOf(config);
    for (const [key, folder, own] of [
      ["exp.root", roots.path, place?.path],
      [exp.ckpt_root === null ? "exp.root" : "exp.ckpt_root", roots.checkpoints, place?.checkpoints],
    ] as const)
      if (own !== undefined && existsSync(own)) checkFolder("exp.name", own, "another exp.name");
      else checkFolder(key, own ?? folder, `${key}=FOLDER`);
    return name === null ? createNumbered(config, label) : openNamed(config, name);
  });
}

/** Does what reads and writes runs; an error of the file system becomes a UserError that names the option and the place. */
async function withPlaces<T>(config: Config, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code, path: file = config.exp.root } = error as NodeJS.ErrnoException;
    if (error instanceof UserError || code === undefined) throw error;
    const { ckpt_root: checkpoints } = config.exp;
    const isCheckpoint =
      checkpoints !== null && path.resolve(file).startsWith(path.resolve(checkpoints) + path.sep);
    const key = isCheckpoint ? "exp.ckpt_root" : "exp.root";
    throw new UserError(`${key}: ${file} cannot be read or written (${code}); pass ${key}=FOLDER`, {
      cause: error,
    });
  }
}

/** The folder of the run that `exp.resume` would go on with, or null when there is none yet. */
export function storedFolder(config: Config, label = config.algo.deg): Promise<string | null> {
  return withPlaces(config, async () => {
    const name = config.exp.name ?? (await lastName(config, label));
    if (name === null) return null;
    const place = runPaths(config, name);
    await settle(place);
    return (await namesIn(place.path)).includes(CONFIG) ? place.path : null;
  });
}

/** What to say where `exp.resume` finds no run: a slip in its name would else begin a long run unseen. */
export async function startsAnew(config: Config, label = config.algo.deg): Promise<string> {
  const { path: folder } = rootsOf(config);
  const { name } = config.exp;
  const runs = (await namesIn(folder)).filter((other) => existsSync(path.join(folder, other, CONFIG)));
  const other = name === null ? undefined : nearest(name, runs);
  const isClose = name && other && editDistance(name, other) <= name.length / 3;
  return `--resume: there is no run ${name ?? `of ${label}`} in ${folder} yet; starting anew${isClose ? `; the nearest is ${other}` : ""}`;
}

/**
 * The folder of the run that `exp.resume` would go on with, where it is finished; null otherwise. Throws a UserError where the user
 * asks it for something else than what it is.
 */
export async function finishedFolder(config: Config, label?: string): Promise<string | null> {
  const folder = config.exp.resume ? await storedFolder(config, label) : null;
  if (folder === null || !(await namesIn(folder)).includes(SUMMARY)) return null;
  const file = path.join(folder, CONFIG);
  const was = fromConfig(configFromYaml(await readFile(file, "utf8"), file));
  for (const [key, value] of fromConfig(config))
    if (
      !/^(exp|adapter|dist|wandb_config)\b/.test(key) &&
      showValue(value) !== showValue(was.get(key) ?? null)
    )
      throw new UserError(
        `${key}: ${folder} is finished with ${showValue(was.get(key) ?? null)}; got ${showValue(value)}; pass another exp.name, with htransform_model.ckpt_path=${path.join(folder, TRANSFORM)} to start from its weights`,
      );
  return folder;
}

/** The configuration of that run. */
export async function storedConfig(config: Config, label = config.algo.deg): Promise<Config | null> {
  const folder = await storedFolder(config, label);
  if (folder === null) return null;
  const file = path.join(folder, CONFIG);
  return configFromYaml(await readFile(file, "utf8"), file);
}

interface Place {
  readonly name: string;
  readonly path: string;
  readonly checkpoints: string;
}

function runPaths(config: Config, name: string): Place {
  const expected = checkFolderName(name);
  if (expected !== null) throw new UserError(`exp.name: wrong value; got ${name}; expected ${expected}`);
  const roots = rootsOf(config);
  return { name, path: path.join(roots.path, name), checkpoints: path.join(roots.checkpoints, name) };
}

/** The folders of all runs and of all their checkpoints. */
const rootsOf = ({ exp }: Config): Omit<Place, "name"> => ({
  path: path.join(exp.root, exp.samples_root),
  checkpoints: exp.ckpt_root ?? path.join(exp.root, "model_ckpts"),
});

async function openNamed(config: Config, name: string): Promise<RunFolder> {
  const place = runPaths(config, name);
  await settle(place);
  const names = await namesIn(place.path);
  const hasRun = names.includes(CONFIG);
  const hasFiles = names.some((file) => !file.endsWith(".part"));
  const hasCheckpoints = (await namesIn(place.checkpoints)).length > 0;
  if (hasFiles && !hasRun) {
    throw new UserError(
      `exp.name: ${place.path} holds files but no ${CONFIG}, so it is no run; expected another exp.name`,
    );
  }
  if (!hasRun && !hasCheckpoints) return create(config, place);
  if (hasRun && config.exp.resume) {
    await removeParts(place);
    return write(config, place, true);
  }
  if (config.exp.overwrite) return replace(config, place);
  const found = hasRun
    ? `the run ${place.path} exists`
    : `checkpoints of an earlier run exist in ${place.checkpoints}`;
  const go = hasRun
    ? "--resume to go on with it, exp.overwrite=true to replace it"
    : "exp.overwrite=true to replace them";
  throw new UserError(`exp.name: ${found}; pass ${go}, or another exp.name`);
}

async function create(config: Config, place: Place): Promise<RunFolder> {
  makeFolder(place.path);
  return write(config, place, false);
}

async function write(config: Config, place: Place, resumed: boolean): Promise<RunFolder> {
  const named = { ...config, exp: { ...config.exp, name: place.name } };
  await atomicWrite(path.join(place.path, CONFIG), configToYaml(named));
  return { ...place, config: named, resumed };
}

async function createNumbered(config: Config, label: string): Promise<RunFolder> {
  const numbers = await numbered(config, label);
  for (let n = Math.max(0, ...numbers) + 1; ; n++) {
    const place = runPaths(config, `${label}-${String(n).padStart(3, "0")}`);
    makeFolder(path.dirname(place.path));
    if ((await namesIn(place.checkpoints)).length > 0) continue;
    try {
      await mkdir(place.path); // fails where another process was first
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") continue;
      throw error;
    }
    return write(config, place, false);
  }
}

async function lastName(config: Config, label: string): Promise<string | null> {
  const numbers = await numbered(config, label);
  return numbers.length === 0 ? null : `${label}-${String(Math.max(...numbers)).padStart(3, "0")}`;
}

/** The numbers of the runs that the program named after `label`. */
async function numbered(config: Config, label: string): Promise<number[]> {
  const names = await namesIn(rootsOf(config).path);
  return names
    .filter((name) => name.startsWith(`${label}-`) && /^\d{3,9}$/.test(name.slice(label.length + 1)))
    .map((name) => Number(name.slice(label.length + 1)));
}

/** Files and folders that a configuration reads, by their keys. */
function inputsOf({ model, htransform_model: transform, classifier, metrics, exp, ...o }: Config) {
  const { forward_op: operator } = o.likelihood;
  return {
    "model.ckpt_path": model.ckpt_path,
    "htransform_model.ckpt_path": transform.ckpt_path,
    "exp.checkpoint": exp.checkpoint,
    "classifier.ckpt_path": classifier.ckpt_path,
    "metrics.lpips_path": metrics.lpips_path,
    "metrics.lpips_trunk_path": metrics.lpips_trunk_path,
    "metrics.inception_path": metrics.inception_path,
    "dataset.root": o.dataset.root,
    "dataset.subset_txt": o.dataset.subset_txt,
    "finetune_dataset.root": o.finetune_dataset.root,
    "finetune_dataset.subset_txt": o.finetune_dataset.subset_txt,
    "likelihood.forward_op.mask_filename": operator.mask_filename,
    "likelihood.forward_op.kernel_filename": operator.kernel_filename,
    "likelihood.forward_op.weights": operator.weights,
  };
}

/** Throws a UserError where replacing a run would delete what the new one reads. */
async function checkApart(config: Config, place: Place): Promise<void> {
  const real = (file: string) => realpath(file).catch(() => path.resolve(file));
  const folders = await Promise.all(foldersOf(place).map(real));
  for (const [key, file] of Object.entries(inputsOf(config))) {
    const found = file === null ? null : await real(file);
    const within = folders.find((folder) => found === folder || found?.startsWith(folder + path.sep));
    if (within !== undefined)
      throw new UserError(
        `exp.overwrite: ${key}=${file} lies in ${within}, which would be deleted; pass another exp.name`,
      );
  }
}

async function replace(config: Config, place: Place): Promise<RunFolder> {
  await checkApart(config, place);
  for (const folder of foldersOf(place)) await renameIfThere(folder, aside(folder));
  const made = await create(config, place);
  await settle(place);
  return made;
}

/**
 * Ends a replacement that was cut off. config.yaml in the new folder is the point of no return: with it the
 * old run is deleted, without it the old run goes back to its place.
 */
async function settle(place: Place): Promise<void> {
  const folders = foldersOf(place).reverse(); // the run last: until it is back, the rest still counts as aside
  const held = await Promise.all(folders.map(async (folder) => (await namesIn(aside(folder))).length > 0));
  if (!held.some(Boolean)) return;
  if ((await namesIn(place.path)).includes(CONFIG)) {
    for (const folder of folders) await rm(aside(folder), { recursive: true, force: true });
    return;
  }
  for (const [i, folder] of folders.entries()) {
    if (!held[i]) continue;
    await rm(folder, { recursive: true, force: true });
    await rename(aside(folder), folder);
  }
}

/** Removes what a killed process was writing. */
async function removeParts(place: Place): Promise<void> {
  for (const folder of foldersOf(place))
    for (const name of await namesIn(folder))
      if (name.endsWith(".part")) await rm(path.join(folder, name), { force: true });
}

/** The run and its checkpoints; one folder where `exp.ckpt_root` makes them the same. */
function foldersOf(place: Place): string[] {
  return [...new Set([place.path, place.checkpoints].map((folder) => path.resolve(folder)))];
}

function aside(folder: string): string {
  return path.join(path.dirname(folder), `.${path.basename(folder)}.replaced`);
}

async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
