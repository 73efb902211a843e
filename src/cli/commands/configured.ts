import { configurationOf, parseArguments } from "../../deft/config/arguments.ts";
import { helpText } from "../../deft/config/help.ts";
import type { Resolved } from "../../deft/config/resolve.ts";
import type { Config } from "../../deft/config/schema.ts";
import { configToYaml } from "../run-folder.ts";

interface Configured {
  readonly command: string;
  readonly usage: string;
  /** Whether the command reads this group of keys. */
  readonly reads: (group: string) => boolean;
  readonly resolve: (args: readonly string[]) => Promise<Resolved>;
  /** What a run needs beside its configuration, such as files: checked before anything is loaded that needs a GPU. Throws UserError. */
  readonly check?: (config: Config) => void;
  readonly run: (config: Config) => Promise<void>;
}

/** A command whose arguments are a configuration, with --help and --dry-run. */
export const configured =
  ({ command, usage, reads, resolve, check, run }: Configured) =>
  async (args: readonly string[]): Promise<void> => {
    if (parseArguments(args, configurationOf(command, reads)).flags.help) {
      process.stdout.write(helpText(usage, reads));
      return;
    }
    const { config, warnings, flags } = await resolve(args);
    if (!flags.dryRun) check?.(config);
    for (const line of warnings) console.error(`deft: ${line}`);
    if (flags.dryRun) process.stdout.write(configToYaml(config));
    else await run(config);
  };
