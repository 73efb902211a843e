import { existsSync } from "node:fs";
import { parseArguments } from "../deft/config/arguments.ts";
import { chosenPrior, resolveConfig, type Resolved } from "../deft/config/resolve.ts";
import type { Preset } from "../deft/config/presets.ts";
import { fromConfig, toConfig, type Config } from "../deft/config/schema.ts";
import { showValue } from "../deft/config/fields.ts";
import { UserError } from "../deft/errors.ts";
import { priorFile, readPriorNetwork } from "./prior-file.ts";
import { startsAnew, storedConfig } from "./run-folder.ts";

/** Keys that a resumed run may change: none of them has a say in the weights of a step. */
const FREE =
  /^(exp\.(?!(seed|classes)$)|loader\.|algo\.val_args\.|metrics\.|classifier\.|wandb_config\.|dist\.|adapter$|model\.ckpt_path$|algo\.finetune_args\.(max_steps|epochs|log_freq|save_)|pretrain\.(steps$|log_freq$|save_|sample_|out$))/;

/**
 * The configuration of a run: the network as the prior's weight file states it, where there is a file, and
 * with `--resume` everything that the user leaves open as the earlier run had it; a warning says where there is none. Throws a
 * UserError for a value that a resumed run may not change.
 */
export async function resolveRun(given: readonly string[]): Promise<Resolved> {
  const argv = await withStoredPrior(given);
  const { model, ckptPath } = chosenPrior(argv);
  const file = priorFile(model, ckptPath);
  const network = file !== null && existsSync(file) ? await readPriorNetwork(file) : {};
  const run = await resumed(resolveConfig(argv, network));
  checkPrior(run.config, network, file ?? "", "the run that --resume goes on with", ", or another exp.name");
  return run;
}

/** With --resume the words begin with the prior of the earlier run; what the user writes goes before it. */
async function withStoredPrior(argv: readonly string[]): Promise<readonly string[]> {
  if (parseArguments(argv).explicit.get("exp.resume") !== true) return argv;
  const { config } = resolveConfig(argv);
  const stored = await storedConfig(config, trainLabel(config));
  if (stored === null) return argv;
  const { name, ckpt_path: file } = stored.model;
  return [`model=${name}`, ...(file === null ? [] : [`model.ckpt_path='${file}'`]), ...argv];
}

/** Refuses a weight file that states another network than `run` had; `way`: another way out than that run's prior. */
export function checkPrior(config: Config, network: Preset, file: string, run: string, way = ""): void {
  const values = fromConfig(config);
  for (const [key, stated] of Object.entries(network)) {
    const value = values.get(key) ?? null;
    if (showValue(value) !== showValue(stated))
      throw new UserError(
        `${key}: ${file} states ${showValue(stated)}; expected ${showValue(value)}, as ${run}; pass the prior of that run as model.ckpt_path=FILE${way}`,
      );
  }
}

/** The same for `deft pretrain`: the network is that of the file to start from, where one is named; what it puts out may change. */
export async function resolvePretraining(argv: readonly string[]): Promise<Resolved> {
  const { ckptPath } = chosenPrior(argv);
  const stated = ckptPath === null ? {} : await readPriorNetwork(ckptPath);
  const network = Object.fromEntries(Object.entries(stated).filter(([k]) => k !== "model.prediction_type"));
  const resolved = resolveConfig(argv, network, false);
  const { exp, model } = resolved.config;
  const named = { ...resolved.config, exp: { ...exp, name: exp.name ?? `prior-${model.name}` } };
  return resumed({ ...resolved, config: named });
}

async function resumed(resolved: Resolved): Promise<Resolved> {
  if (!resolved.config.exp.resume) return resolved;
  const { config, explicit, warnings } = resolved;
  const label = trainLabel(config);
  const stored = await storedConfig(config, label);
  return stored === null
    ? { ...resolved, warnings: [...warnings, await startsAnew(config, label)] }
    : { ...resolved, config: mergeResumed(stored, config, explicit) };
}

/** What a new folder of `deft train` is named after. */
export const trainLabel = ({ algo }: Config): string =>
  algo.name === "deft_soc" ? `${algo.name}-${algo.deg}` : algo.deg;

/** The earlier run's configuration with the keys that the user named now; one that would change the run is refused. */
export function mergeResumed(
  stored: Config,
  now: Config,
  explicit: ReadonlySet<string>,
  free: RegExp = FREE,
): Config {
  const values = fromConfig(stored);
  const given = fromConfig(now);
  for (const key of explicit) {
    const [old, value] = [values.get(key) ?? null, given.get(key) ?? null];
    if (!free.test(key) && showValue(old) !== showValue(value)) {
      throw new UserError(
        `${key}: the run that --resume goes on with has another value; got ${showValue(value)}; expected ${showValue(old)}, or another exp.name`,
      );
    }
    values.set(key, value);
  }
  values.set("exp.resume", true);
  return toConfig(values);
}
