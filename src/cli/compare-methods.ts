// The methods of a comparison as the configuration asks for them.
import { deft } from "../deft/algorithms/ddim.ts";
import { algorithms } from "../deft/algorithms/index.ts";
import type { Algorithm } from "../deft/algorithms/algorithm.ts";
import type { Method } from "../deft/compare.ts";
import { comparedIn, type Comparable } from "../deft/config/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import { HTransform } from "../deft/htransform.ts";
import type { Prior } from "../deft/prior.ts";
import { deftPredict } from "../deft/sample.ts";
import { timesteps, type Schedule } from "../deft/schedule.ts";
import type { Task } from "../deft/task.ts";
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights } from "../nn/state.ts";
import type { Engine } from "../tensor/index.ts";
import { transformNetwork, type NamedWeights } from "./train-setup.ts";

export interface MethodParts {
  readonly engine: Engine;
  readonly config: Config;
  readonly schedule: Schedule;
  readonly prior: Prior;
  readonly task: Task;
  readonly channels: number;
  /** Of the trained h-transform; null: none was given. */
  readonly transform: NamedWeights | null;
}

/** The methods that `compare.algorithms` names, and those that cannot run, with the reason. */
export async function methodsOf(
  parts: MethodParts,
): Promise<{ methods: Method[]; leftOut: Map<string, string> }> {
  const { config, transform } = parts;
  const methods: Method[] = [];
  const leftOut = new Map<string, string>();
  for (const name of comparedIn(config.compare.algorithms)) {
    if (name !== "deft") methods.push(methodOf(config, algorithms[name], name));
    else if (transform) methods.push(await trained(parts, transform));
    else leftOut.set(name, "no trained h-transform was given; pass --checkpoint RUN_FOLDER");
  }
  return { methods, leftOut };
}

function methodOf(config: Config, algorithm: Algorithm, name: Comparable, base: object = {}): Method {
  const { start_step: start, end_step: end, num_steps: steps } = config.exp;
  const { num_steps: ownSteps, ...own } = config.compare[name];
  const given = Object.entries(own).filter(([, value]) => value !== null);
  // These algorithms take the noise of pictures in [0, 1].
  const noise = "sigmaY" in algorithm.defaults ? { sigmaY: (config.algo.sigma_y ?? 0) / 2 } : {};
  return {
    algorithm,
    options: {
      ...algorithm.defaultsFor(config.algo.deg),
      ...base,
      ...noise,
      ...Object.fromEntries(given.map(([key, value]) => [camelCase(key), value])),
    },
    ts: timesteps(start, end, ownSteps ?? config.compare.num_steps ?? steps),
  };
}

const camelCase = (key: string): string => key.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

/** DEFT with the weights of a trained run, and the η that the run was evaluated with. */
async function trained(o: MethodParts, { source, file }: NamedWeights): Promise<Method> {
  const { engine, config, schedule, prior, task } = o;
  const { stats } = engine.device.pool;
  const before = stats.live;
  const hTransform = new HTransform(transformNetwork(config, o.channels));
  const set = new ParameterSet(engine, hTransform.declarations.list, { trainable: false });
  await loadWeights(set, source, "", file);
  const algorithm = deft(({ operator, y }) =>
    deftPredict(schedule, prior.denoise, hTransform, operator, y, task.condition),
  );
  return {
    ...methodOf(config, algorithm, "deft", { eta: config.algo.val_args.eta }),
    network: {
      calls: () => hTransform.calls,
      bytes: stats.live - before,
      release: () => hTransform.release(),
    },
  };
}
