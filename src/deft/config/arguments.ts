import { UserError } from "../errors.ts";
import { parseValue, type Raw, type Value } from "./fields.ts";
import { nearest, nearestKey } from "./nearest.ts";
import { choiceGroups, fields } from "./schema.ts";

/** What the words after the command say. */
export interface Arguments {
  /** Values by key as the user gave them, read and checked; the last of two stands. */
  readonly explicit: ReadonlyMap<string, Value>;
  /** Choices as written, before aliases are resolved: group to word. */
  readonly choices: ReadonlyMap<string, string>;
  /** `--config FILE:mode:data:task`: weaker than any explicit value. */
  readonly preset: { readonly data: string; readonly task: string } | null;
  readonly flags: Flags;
}

export interface Flags {
  readonly help: boolean;
  /** Print the resolved configuration and stop. */
  readonly dryRun: boolean;
}

/** Sections of the older flag style and where they stand in the tree. */
const OLDER: { readonly [section: string]: string } = {
  finetune_model_config: "htransform_model",
  forward_op: "likelihood.forward_op",
  training: "algo.finetune_args",
  wandb: "wandb_config",
};

/** What a command takes, for messages about words that it does not know. */
export interface Vocabulary {
  readonly command: string;
  readonly flags: readonly string[];
  /** Keys, and the command's own words before a "=". */
  readonly keys: readonly string[];
}

/** Flags that stand for a key. */
const KEY_FLAGS: readonly (readonly [flag: string, key: string])[] = [
  ["--adapter", "adapter"],
  ["--checkpoint", "exp.checkpoint"],
  ["--resume", "exp.resume"],
];

/** That of a command whose arguments are a configuration; `reads`: whether it reads this key. */
export const configurationOf = (command: string, reads: (key: string) => boolean): Vocabulary => ({
  command,
  flags: [
    ...KEY_FLAGS.filter(([, key]) => reads(key)).map(([flag]) => flag),
    ...["--dry-run", "--help", "--config"],
  ],
  keys: [...fields.keys()].filter(reads),
});

/**
 * Reads `group.key=value`, `group=choice`, the older `--config FILE:finetuning:DATA:TASK`, `--config.a.b value`
 * and the flags, in any order. Throws a UserError that names the word and, for an unknown key or flag, the
 * nearest one that the command takes.
 */
export function parseArguments(
  argv: readonly string[],
  vocabulary: Vocabulary = configurationOf("train", () => true),
): Arguments {
  const { command, flags, keys } = vocabulary;
  const explicit = new Map<string, Value>();
  const choices = new Map<string, string>();
  let preset: Arguments["preset"] = null;
  let help = false;
  let dryRun = false;

  const assign = (key: string, raw: Raw) => {
    explicit.set(key, fields.get(key)!.parse(key, raw));
    if (key.endsWith(".name") && "text" in raw)
      choices.set(key.slice(0, -".name".length), raw.text.toLowerCase());
  };

  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (!word.startsWith("-")) {
      const [key, value] = override(word, vocabulary);
      assign(key, parseValue(key, value));
      continue;
    }
    const [flag, inline] = splitAt(word, "=");
    const value = () => {
      if (inline !== undefined) return inline;
      const next = argv[i + 1];
      if (next === undefined || next.startsWith("--"))
        throw new UserError(`${flag}: no value; expected ${flag} VALUE`);
      i++;
      return next;
    };
    const truth = () => {
      if (inline !== undefined) return inline;
      if (!/^(true|false)$/i.test(argv[i + 1] ?? "")) return "true";
      i++;
      return argv[i] ?? "true";
    };
    const isTrue = () => truthOf(flag, truth());
    if (flag.startsWith("--config.")) {
      const key = canonical(olderKey(flag.slice("--config.".length)), flag, vocabulary);
      const read = fields.get(key)!.type.startsWith("true | false") ? truth : value;
      assign(key, parseValue(key, read()));
    } else if (flag === "--config") {
      preset = configFile(value());
    } else if (flag === "--adapter") {
      assign("adapter", parseValue("adapter", value()));
    } else if (flag === "--checkpoint") {
      assign("exp.checkpoint", parseValue("exp.checkpoint", value()));
    } else if (flag === "--resume") {
      explicit.set("exp.resume", isTrue());
    } else if (flag === "--dry-run") {
      dryRun = isTrue();
    } else if (flag === "--help" || flag === "-h") {
      help = isTrue();
    } else {
      throw new UserError(
        `${flag}: no such flag; expected KEY=VALUE, ${flags.join(", ")}; nearest is ${nearest(flag, [...flags, ...keys])}; all: deft ${command} --help`,
      );
    }
  }
  return { explicit, choices, preset, flags: { help, dryRun } };
}

function override(word: string, vocabulary: Vocabulary): [string, string] {
  const [name, value] = splitAt(word, "=");
  if (value === undefined) {
    throw new UserError(
      `${word}: not an option; expected group.key=value, group=choice or a flag such as --help`,
    );
  }
  return [canonical(name.replace(/^\+{1,2}/, ""), name, vocabulary), value];
}

/** The key that `name` stands for; a group of choices stands for its `name`. */
function canonical(name: string, written: string, { command, keys }: Vocabulary): string {
  if (choiceGroups.includes(name)) return `${name}.name`;
  if (fields.has(name)) return name;
  const inside = [...fields.keys()].filter((key) => key.startsWith(`${name}.`));
  if (inside.length > 0) {
    throw new UserError(
      `${written}: a group, not a key; expected one of its keys, for instance ${inside[0]}=VALUE`,
    );
  }
  throw new UserError(
    `${name}: no such key; nearest is ${nearestKey(name, keys)}; all: deft ${command} --help`,
  );
}

function olderKey(path: string): string {
  const [section, rest] = splitAt(path, ".");
  const mapped = Object.hasOwn(OLDER, section) ? (OLDER[section] ?? section) : section;
  return rest === undefined ? mapped : `${mapped}.${rest}`;
}

/** FILE:finetuning:DATA:TASK; the file itself is not read: the tree and its defaults are this program's own. */
function configFile(value: string): { data: string; task: string } {
  const parts = value.split(":");
  const [task, data, mode] = parts.reverse();
  if (parts.length < 4 || mode !== "finetuning" || !data || !task) {
    throw new UserError(
      `--config: wrong value; got ${value}; expected FILE:finetuning:DATA:TASK, for instance config.py:finetuning:imagenet:inp`,
    );
  }
  return { data, task };
}

function truthOf(flag: string, word: string): boolean {
  if (!/^(true|false)$/i.test(word))
    throw new UserError(`${flag}: wrong value; got ${word}; expected true or false`);
  return word.toLowerCase() === "true";
}

function splitAt(word: string, mark: string): [string, string | undefined] {
  const at = word.indexOf(mark);
  return at < 0 ? [word, undefined] : [word.slice(0, at), word.slice(at + 1)];
}
