// Algorithms as the configuration asks for them, with their networks and all of their options.
import { readFile } from "node:fs/promises";
import path from "node:path";
import type { Algorithm } from "../deft/algorithms/algorithm.ts";
import { deft } from "../deft/algorithms/ddim.ts";
import { deftSoc } from "../deft/algorithms/deft-soc.ts";
import { algorithms, type AlgorithmName } from "../deft/algorithms/index.ts";
import { settable } from "../deft/algorithms/options.ts";
import type { Method } from "../deft/compare.ts";
import { comparedIn } from "../deft/config/compare.ts";
import { bareWord } from "../deft/config/degradation.ts";
import type { Value } from "../deft/config/fields.ts";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { HTransform } from "../deft/htransform.ts";
import type { Prior } from "../deft/prior.ts";
import { deftPredict } from "../deft/sample.ts";
import { timesteps, type Schedule } from "../deft/schedule.ts";
import type { Task } from "../deft/task.ts";
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights } from "../nn/state.ts";
import type { Engine } from "../tensor/index.ts";
import { LEARNING } from "./run-folder.ts";
import { transformNetwork, type NamedWeights } from "./train-setup.ts";

export interface MethodParts {
  readonly engine: Engine;
  readonly config: Config;
  readonly schedule: Schedule;
  readonly prior: Prior;
  readonly task: Task;
  readonly channels: number;
  /** Of the trained h-transform, which is that of `algo.name`; null: none was given. */
  readonly transform: NamedWeights | null;
}

/** What the user chose for one algorithm: options by their keys (null: the algorithm's default for the task), and steps. */
interface Choice {
  readonly options: object;
  readonly numSteps: number;
}

/** Sampling steps of `deft sample`. */
export const sampledSteps = ({ algo, exp }: Config): number =>
  (algo.name === "deft_soc" ? algo.soc.num_steps : null) ?? exp.num_steps;

/** The method of `deft sample`: `algo` with its options. */
export function sampledMethod(parts: MethodParts): Promise<Method> {
  const { algo } = parts.config;
  const own = { deft: algo.val_args, deft_soc: algo.soc };
  const options = algo.name === "deft" || algo.name === "deft_soc" ? own[algo.name] : algo;
  return methodOf(parts, algo.name, { options, numSteps: sampledSteps(parts.config) });
}

/** The methods that `compare.algorithms` names, each with its `compare.<name>` options, and those that cannot run, with the reason. */
export async function comparedMethods(
  parts: MethodParts,
): Promise<{ methods: Method[]; leftOut: Map<string, string> }> {
  const { algo, compare, exp } = parts.config;
  const methods: Method[] = [];
  const leftOut = new Map<string, string>();
  for (const name of comparedIn(compare.algorithms)) {
    const { num_steps: steps, ...options } = compare[name];
    const trained = parts.transform !== null && algo.name === name;
    // A chain that was learned has its steps; else they may be set as those of all others.
    const own = trained && name === "deft_soc" ? algo.soc.num_steps : null;
    const numSteps = own ?? steps ?? compare.num_steps ?? exp.num_steps;
    if (name === "deft" && !trained)
      leftOut.set(name, "no trained h-transform was given; pass --checkpoint RUN_FOLDER");
    else methods.push(await methodOf(parts, name, { options, numSteps }));
  }
  return { methods, leftOut };
}

async function methodOf(parts: MethodParts, name: AlgorithmName, choice: Choice): Promise<Method> {
  const { config, transform } = parts;
  if (name === "deft_soc") {
    checkChain(config);
    if (transform && config.algo.name === name)
      return trained(parts, transform, name, { eta: 1 }, choice.numSteps);
    return learning(parts, choice);
  }
  if (name !== "deft") return plain(config, algorithms[name], choice);
  if (!transform)
    throw new UserError(
      "algo: deft samples with a trained h-transform; pass --checkpoint RUN_FOLDER, or another algorithm such as algo=dps",
    );
  const eta = (optionIn(choice, "eta") as number | null) ?? config.algo.val_args.eta;
  return trained(parts, transform, name, { eta }, choice.numSteps);
}

const tsOf = ({ exp }: Config, numSteps: number): number[] =>
  timesteps(exp.start_step, exp.end_step, numSteps);

/** The options that are given, by their names. */
const givenOf = ({ fields }: Algorithm, choice: Choice): { [name: string]: Value } =>
  Object.fromEntries(
    settable(fields)
      .map(([name, key]) => [name, optionIn(choice, key)] as const)
      .filter(([, value]) => value !== null),
  );

const optionIn = ({ options }: Choice, key: string): Value =>
  (options as { readonly [key: string]: Value })[key] ?? null;

function plain(config: Config, algorithm: Algorithm, choice: Choice): Method {
  // These algorithms take the noise of pictures in [0, 1].
  const noise = "sigmaY" in algorithm.defaults ? { sigmaY: (config.algo.sigma_y ?? 0) / 2 } : {};
  return {
    algorithm,
    options: { ...algorithm.defaultsFor(bareWord(config.algo.deg)), ...noise, ...givenOf(algorithm, choice) },
    ts: tsOf(config, choice.numSteps),
  };
}

/** DEFT with the weights of a trained run. */
async function trained(
  o: MethodParts,
  { source, file }: NamedWeights,
  name: AlgorithmName,
  options: { readonly eta: number },
  numSteps: number,
): Promise<Method> {
  const { engine, config, schedule, task } = o;
  const { stats } = engine.device.pool;
  const before = stats.live;
  const hTransform = new HTransform(transformNetwork(config, o.channels));
  const set = new ParameterSet(engine, hTransform.declarations.list, { trainable: false });
  await loadWeights(set, source, "", file);
  const condition = name === "deft_soc" ? socCondition(config, task) : task.condition;
  const algorithm = deft(({ prior, operator, y }) =>
    deftPredict(schedule, prior, hTransform, operator, y, condition),
  );
  return {
    algorithm: { ...algorithm, name },
    options,
    ts: tsOf(config, numSteps),
    network: {
      calls: () => hTransform.calls,
      bytes: stats.live - before,
      release: () => hTransform.release(),
    },
    ...(name === "deft_soc" && { learning: await learningIn(config.exp.checkpoint ?? "") }),
  };
}

/** What learning took in a run of `deft train algo=deft_soc`. Throws a UserError where the file does not say it. */
async function learningIn(run: string): Promise<NonNullable<Method["learning"]>> {
  const file = path.join(run, LEARNING);
  const refuse = (why: string): never => {
    throw new UserError(`${file}: ${why}; expected the folder of a finished run of deft train algo=deft_soc`);
  };
  const text = await readFile(file, "utf8").catch(() => refuse("cannot be read"));
  const learned = parsed(text) as Partial<NonNullable<Method["learning"]>> | null;
  const figures = [learned?.calls?.prior, learned?.calls?.own, learned?.secondsPerImage];
  if (!figures.every(Number.isFinite)) refuse("says no network calls or seconds");
  return learned as NonNullable<Method["learning"]>;
}

/** The value of a JSON text; null where it is none. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** deft_soc, which learns for each picture. */
function learning({ config, task, channels }: MethodParts, choice: Choice): Method {
  const { algo, exp } = config;
  const { algorithm, calls } = deftSoc({
    network: transformNetwork(config, channels),
    condition: socCondition(config, task),
    numSteps: choice.numSteps,
    ...learningOf(config),
    useAverage: algo.val_args.use_ema,
    seed: exp.seed,
  });
  const { objective, batch_size: batchSize, iterations } = algo.soc;
  return {
    algorithm,
    options: { objective, batchSize, iterations, ...givenOf(algorithm, choice) },
    ts: tsOf(config, choice.numSteps),
    // Its networks live while it runs.
    network: { calls, bytes: 0, release: () => undefined },
    warmUp: { iterations: 1 },
  };
}

/** How an h-transform is optimised, as in fine-tuning. */
export function learningOf({ algo }: Config) {
  const { lr, lr_annealing: lrAnnealing } = algo.finetune_args;
  const { beta, update_after_step: updateAfterStep, update_every: updateEvery } = algo.ema;
  return { lr, lrAnnealing, ema: { beta, updateAfterStep, updateEvery } };
}

/** What the h-transform of deft_soc sees: a likelihood needs noise, algo.soc.sigma where the task has none. */
export function socCondition({ algo }: Config, { condition, conditionFor }: Task): Task["condition"] {
  return condition.sigmaY > 0 ? condition : conditionFor(algo.soc.sigma ?? 0);
}

/** The chain of deft_soc runs from noise to picture: no part of it can be left out. */
function checkChain({ exp, diffusion }: Config): void {
  const all = diffusion.num_diffusion_timesteps;
  if (exp.start_step === all && exp.end_step === 0) return;
  throw new UserError(
    `exp.start_step: deft_soc learns the whole chain; got ${exp.start_step} to ${exp.end_step}; expected ${all} to 0`,
  );
}
