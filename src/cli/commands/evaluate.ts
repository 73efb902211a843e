import { existsSync } from "node:fs";
import path from "node:path";
import { parseArguments } from "../../deft/config/arguments.ts";
import { resolveConfig } from "../../deft/config/resolve.ts";
import { fields } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { checkMeasuring } from "../check-inputs.ts";
import { planEvaluation } from "../evaluate-inputs.ts";
import { METRICS, runEvaluation } from "../evaluate-run.ts";
import { checkFile, checkFolder } from "../output-place.ts";
import { configToYaml } from "../run-folder.ts";

const USAGE =
  "deft evaluate FOLDER [--against ORIGINALS] [OPTIONS]: measure the pictures of a run (drawn with exp.save_ori=true), or of any folder against originals under the same names; writes metrics.json there";

/** Options that have a say here. */
const OWN = /^(metrics|classifier)\.|^exp\.(name|root|samples_root|classes|overwrite)$|^adapter$/;

const VOCABULARY = {
  command: "evaluate",
  flags: ["--against", "--adapter", "--dry-run", "--help"],
  keys: [...fields.keys()].filter((key) => OWN.test(key)),
};

/** `deft evaluate`: pictures and options are checked before anything is loaded that needs a GPU. Throws UserError. */
export async function evaluate(args: readonly string[]): Promise<void> {
  const { folders, against, rest } = splitWords(args);
  const { explicit, flags } = parseArguments(rest, VOCABULARY);
  if (flags.help) {
    process.stdout.write(help());
    return;
  }
  const foreign = [...explicit.keys()].find((key) => !OWN.test(key));
  if (foreign !== undefined)
    throw new UserError(
      `${foreign}: evaluate samples nothing; expected a key of metrics, classifier, or exp.classes`,
    );
  const { config } = resolveConfig(rest);
  const { exp } = config;
  const [folder, ...more] = folders;
  if (more.length > 0)
    throw new UserError(
      `evaluate: one folder at a time; got ${folders.join(", ")}; pass originals as --against FOLDER`,
    );
  const samples = folder ?? (exp.name === null ? null : path.join(exp.root, exp.samples_root, exp.name));
  if (samples === null)
    throw new UserError(
      "evaluate: no folder given; expected deft evaluate FOLDER, or exp.name=NAME of a run",
    );
  if (flags.dryRun) {
    process.stdout.write(configToYaml(config));
    return;
  }
  checkMeasuring(config);
  const file = path.join(samples, METRICS);
  const inputs = await planEvaluation({ samples, against, classes: exp.classes });
  checkFolder("evaluate", samples, `a copy of it, since ${METRICS} goes there`);
  checkFile("evaluate", file, exp.overwrite, "a copy of the folder");
  await runEvaluation({ config, inputs, samples, against });
}

interface Words {
  readonly folders: readonly string[];
  readonly against: string | null;
  /** The options. */
  readonly rest: readonly string[];
}

/** Folders, the originals, and options. */
function splitWords(args: readonly string[]): Words {
  const [folders, rest] = [[] as string[], [] as string[]];
  let against: string | null = null;
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (word === "--against" || word.startsWith("--against=")) {
      const value = word === "--against" ? args[++i] : word.slice("--against=".length);
      if (value === undefined || value === "" || value.startsWith("--"))
        throw new UserError("--against: no value; expected --against ORIGINALS, a folder of pictures");
      against = value;
    } else if (word === "--adapter") {
      rest.push(word, ...args.slice(++i, i + 1));
    } else if (word.startsWith("-") || (word.includes("=") && !existsSync(word))) {
      rest.push(word);
    } else {
      folders.push(word);
    }
  }
  return { folders, against, rest };
}

function help(): string {
  const about = [...fields]
    .filter(([key]) => OWN.test(key))
    .map(([key, field]) => `  ${key} (${field.type})\n      ${field.help}`);
  return [
    USAGE,
    "",
    "  --against ORIGINALS   folder of the originals; with other names than the samples' only whole sets are compared",
    "  --adapter NAME, --dry-run, --help",
    "",
    "Options; a measure whose weights are not given is left out by name:",
    ...about,
    "",
  ].join("\n");
}
