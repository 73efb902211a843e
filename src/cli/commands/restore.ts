// `deft restore`: a user's own degraded pictures in, restored files out.
import { existsSync } from "node:fs";
import { parseArguments } from "../../deft/config/arguments.ts";
import { int, parseValue } from "../../deft/config/fields.ts";
import { fields, fromConfig, toConfig, type Config } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { configToYaml, readConfig } from "../run-folder.ts";
import { runRestoring } from "../restore-run.ts";

const USAGE =
  "deft restore FILES... --checkpoint RUN --out DIR [--task TASK] [num_samples=K] [OPTIONS]: restore degraded pictures with a finished train run";

/** Options that a run leaves to the restoring; all others are the run's. */
const FREE = [
  "exp.num_steps",
  "exp.start_step",
  "exp.end_step",
  "exp.seed",
  "exp.classes",
  "exp.overwrite",
  "algo.val_args.eta",
  "loader.batch_size",
  "likelihood.forward_op.mask_filename",
  "likelihood.forward_op.mask_key",
  "model.ckpt_path",
  "model.use_fp16",
  "tensor_cores",
  "adapter",
];

const FLAGS = ["--checkpoint", "--out", "--task"];

const VOCABULARY = {
  command: "restore",
  flags: [...FLAGS, "--adapter", "--dry-run", "--help"],
  keys: ["num_samples", ...FREE],
};

const samples = int(1, "samples of each picture", { min: 1, max: 64 });

interface Words {
  readonly files: readonly string[];
  readonly values: ReadonlyMap<string, string>;
  /** The options. */
  readonly rest: readonly string[];
}

/** Checks options, run and pictures before anything is loaded that needs a GPU. Throws UserError. */
export async function restore(args: readonly string[]): Promise<void> {
  const { files, values, rest } = splitWords(args);
  const { explicit, flags } = parseArguments(rest, VOCABULARY);
  if (flags.help) {
    process.stdout.write(help());
    return;
  }
  const need = (flag: string, what: string): string => {
    const value = values.get(flag);
    if (value === undefined) throw new UserError(`${flag}: not given; expected ${flag} ${what}`);
    return value;
  };
  const run = need(
    "--checkpoint",
    "RUN, the folder of a finished train run, such as outputs/samples/sr4-001",
  );
  const out = need("--out", "DIR, the folder for the restored pictures");
  if (files.length === 0) throw new UserError("restore: no pictures given; expected deft restore FILES...");
  const count = samples.parse("num_samples", parseValue("num_samples", values.get("num_samples") ?? "1"));
  const stored = await readConfig(run);
  checkRun(stored, run);
  checkTask(stored, "--task", values.get("--task"), run);
  checkTask(stored, "algo.deg", explicit.get("algo.deg"), run);
  const config = withOptions(stored, explicit);
  if (flags.dryRun) process.stdout.write(configToYaml(config));
  else await runRestoring({ files, run, out, samples: count, config });
}

/** Pictures, this command's own words, and options. A word that is there as a file is one, whatever it looks like. */
function splitWords(args: readonly string[]): Words {
  const [files, values, rest] = [[] as string[], new Map<string, string>(), [] as string[]];
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    const [name = "", inline] = split(word);
    if (FLAGS.includes(name)) {
      const value = inline ?? args[++i];
      if (value === undefined || value === "" || (inline === undefined && value.startsWith("--")))
        throw new UserError(`${name}: no value; expected ${name} VALUE`);
      values.set(name, value);
    } else if (name === "--config" || name.startsWith("--config.") || name === "--resume") {
      throw new UserError(`${name}: not an option of restore, which takes the run's; leave it out`);
    } else if (name === "--adapter" && inline === undefined) {
      rest.push(word, ...args.slice(++i, i + 1));
    } else if (word.startsWith("-") && !existsSync(word)) {
      rest.push(word);
    } else if (inline === undefined || existsSync(word)) {
      files.push(word);
    } else if (name === "num_samples") {
      values.set(name, inline);
    } else {
      rest.push(word);
    }
  }
  return { files, values, rest };
}

function split(word: string): [string, string | undefined] {
  const at = word.indexOf("=");
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}

function checkRun(config: Config, run: string): void {
  if (config.algo.name !== "deft")
    throw new UserError(
      `--checkpoint: ${run} learned one observation (algo=${config.algo.name}); expected a run of deft train; for more samples of it: deft sample --checkpoint ${run}`,
    );
}

/** A task that the user named, by whichever word, is that of the run. */
function checkTask({ algo }: Config, word: string, task: unknown, run: string): void {
  if (task === undefined || task === algo.deg) return;
  throw new UserError(
    `${word}: ${run} was trained for ${algo.deg}; got ${String(task)}; leave ${word} out, or pass a run of that task`,
  );
}

/** The run's configuration with what the user named; whether outputs may be replaced, and of what class the user's pictures are, is never the run's to say. */
function withOptions(stored: Config, explicit: ReturnType<typeof parseArguments>["explicit"]): Config {
  const values = fromConfig(stored);
  values.set("exp.overwrite", false);
  values.set("exp.classes", null);
  for (const [key, value] of explicit) {
    if (key === "algo.deg") continue;
    if (!FREE.includes(key))
      throw new UserError(`${key}: the trained run decides on it; expected one of ${FREE.join(", ")}`);
    values.set(key, value);
  }
  return toConfig(values);
}

function help(): string {
  const about = FREE.map((key) => `  ${key} (${fields.get(key)?.type})\n      ${fields.get(key)?.help}`);
  return [
    USAGE,
    "",
    "  --checkpoint RUN   folder of a finished train run",
    "  --out DIR          folder for the restored pictures; same-named ones are kept unless exp.overwrite=true",
    "  --task TASK        refuse a run of another task",
    `  num_samples=K      ${samples.type}; from 2 on also their mean and a map of their standard deviation`,
    "  --adapter NAME, --dry-run, --help",
    "",
    "Options; what is left open is the run's:",
    ...about,
    "",
  ].join("\n");
}
