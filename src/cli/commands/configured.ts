import { configurationOf, parseArguments } from "../../deft/config/arguments.ts";
import { showValue } from "../../deft/config/fields.ts";
import { helpText } from "../../deft/config/help.ts";
import type { Resolved } from "../../deft/config/resolve.ts";
import type { Config } from "../../deft/config/schema.ts";
import { UserError } from "../../deft/errors.ts";
import { configToYaml } from "../run-folder.ts";

interface Configured {
  readonly name: string;
  readonly usage: string;
  /** Whether the command reads this key; others are refused, and not in its help. */
  readonly reads: (key: string) => boolean;
  /** Whether it reads this key only to say where it belongs: not in its help. */
  readonly refuses?: (key: string) => boolean;
  /** What to do instead of naming a key that it does not read; else to leave it out. */
  readonly instead?: { readonly [key: string]: string };
  readonly resolve: (args: readonly string[]) => Promise<Resolved>;
  /** What a run needs beside its configuration, such as files: checked before anything is loaded that needs a GPU. Throws UserError. */
  readonly check?: (config: Config) => void;
  readonly run: (config: Config) => Promise<void>;
}

/** Whether a key is of training alone, or of the pictures that it draws on the way. */
export const ofTraining = (key: string): boolean =>
  /^algo\.(finetune_args\.(?!lr$|lr_annealing$)|val_args\.(batch_size|num_steps|psnr_batch_size|sample_freq|psnr_sample_freq)$)/.test(
    key,
  );

/** A command whose arguments are a configuration, with --help and --dry-run. */
export const configured =
  ({ name, usage, reads, refuses = () => false, instead, resolve, check, run }: Configured) =>
  async (args: readonly string[]): Promise<void> => {
    const offered = (key: string): boolean => reads(key) && !refuses(key);
    const given = parseArguments(args, configurationOf(name, offered));
    if (given.flags.help) {
      process.stdout.write(helpText(usage, offered));
      return;
    }
    const unread = [...given.explicit.keys()].find((key) => !reads(key));
    if (unread !== undefined)
      throw new UserError(
        `${unread}: ${name} does not read it; got ${showValue(given.explicit.get(unread) ?? null)}; ${instead?.[unread] ?? `leave it out; deft ${name} --help lists its options`}`,
      );
    const { config, warnings, flags } = await resolve(args);
    if (!flags.dryRun) check?.(config);
    for (const line of warnings) console.error(`deft: ${line}`);
    if (flags.dryRun) process.stdout.write(configToYaml(config));
    else await run(config);
  };
