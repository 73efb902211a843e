import { nearest } from "../deft/config/nearest.ts";
import { UserError } from "../deft/errors.ts";
import { loseOutput } from "./interrupt.ts";
import { ownPackage } from "./packages.ts";

interface Command {
  readonly help: string;
  readonly load: () => Promise<(args: readonly string[]) => Promise<void>>;
}

/** Each command is loaded when it is called, so that `inspect` needs no GPU and `--help` nothing at all. */
const commands: { readonly [name: string]: Command } = {
  train: {
    help: "fine-tune an h-transform for a task and restore held-out pictures",
    load: async () => (await import("./commands/train.ts")).train,
  },
  sample: {
    help: "restore held-out pictures with any algorithm, or draw from the prior",
    load: async () => (await import("./commands/sample.ts")).sample,
  },
  evaluate: {
    help: "measure pictures that are there against originals: deft evaluate FOLDER",
    load: async () => (await import("./commands/evaluate.ts")).evaluate,
  },
  restore: {
    help: "restore your own degraded pictures with a finished train run",
    load: async () => (await import("./commands/restore.ts")).restore,
  },
  pretrain: {
    help: "train a prior on pictures, resumable",
    load: async () => (await import("./commands/pretrain.ts")).pretrain,
  },
  compare: {
    help: "several algorithms on one task, with the same measurements: one table",
    load: async () => (await import("./commands/compare.ts")).compare,
  },
  inspect: {
    help: "list the tensors of a weight file: deft inspect FILE",
    load: async () => (await import("./commands/inspect.ts")).inspect,
  },
  info: {
    help: "show the GPU adapter and the versions in use",
    load: async () => (await import("./commands/info.ts")).info,
  },
};

/**
 * Runs one command line (without node and script). What the user can mend is printed as one plain message and
 * sets the exit status to 1; the process ends by itself. DEFT_DEBUG=1 prints stack traces.
 */
export async function main(argv: readonly string[]): Promise<void> {
  process.stdout.on("error", ({ code, message }: NodeJS.ErrnoException) => {
    // `deft ... | head` closes the pipe early; that is no failure.
    if (code !== "EPIPE") loseOutput(code ?? message);
  });
  // There is no other place to say it.
  process.stderr.on("error", () => undefined);
  try {
    await dispatch(argv);
  } catch (error) {
    reportFailure(error, argv);
  }
}

/** Options that say how much memory is taken. */
const SIZE = /(_size|samples|channels|oversample|num_angles)=\d+$/;

/** Prints a failure of the command line `argv` as the user should see it and sets the exit status to 1. */
export function reportFailure(error: unknown, argv: readonly string[]): void {
  process.exitCode = 1;
  const debug = Boolean(process.env["DEFT_DEBUG"]);
  if (debug && error instanceof Error) console.error(error.stack);
  else if (isForTheUser(error)) console.error(`deft: ${error.message}`);
  else if (error instanceof RangeError && /array length|allocation failed/i.test(error.message)) {
    const sizes = argv.filter((word) => SIZE.test(word));
    const given = sizes.length > 0 ? `${sizes.join(", ")}; ${error.message}` : error.message;
    console.error(
      `deft: one of the sizes is too large for this machine's memory; got ${given}; expected a smaller batch, picture or measurement`,
    );
  } else {
    const line = (error instanceof Error ? `${error.name}: ${error.message}` : String(error)).split("\n")[0];
    console.error(`deft: unexpected failure; ${line}; set DEFT_DEBUG=1 to see where`);
  }
}

/** Errors whose message says what to do: options and files, limits of the adapter, names of kernels, weights that do not fit. By name, so that no layer below is loaded for them. */
const isForTheUser = (error: unknown): error is Error =>
  error instanceof UserError ||
  (error instanceof Error && ["DeviceError", "ChoiceError", "CheckpointError"].includes(error.name));

async function dispatch(argv: readonly string[]): Promise<void> {
  const [name, ...args] = argv;
  if (name === undefined || name === "--help" || name === "-h") return printUsage();
  if (["--version", "-v", "version"].includes(name)) return console.log(ownPackage().version);
  // The commands of the original name no command.
  if (name.includes("=") || name.startsWith("--config")) return dispatch(["train", ...argv]);
  if (name === "help") return args.length === 0 ? printUsage() : dispatch([...args.slice(0, 1), "--help"]);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) {
    const known = Object.keys(commands).join(", ");
    throw new UserError(
      `${name}: no such command; expected ${known}; nearest is ${nearest(name, Object.keys(commands))}`,
    );
  }
  const run = await command.load();
  await run(args);
}

function printUsage(): void {
  const rows = Object.entries(commands).map(([name, { help }]) => `  ${name.padEnd(10)} ${help}`);
  console.log(
    [
      "deft COMMAND [OPTIONS]",
      "",
      ...rows,
      "",
      "deft COMMAND --help lists the options of a command; options without a command are those of train.",
      "deft --version prints the version.",
    ].join("\n"),
  );
}
