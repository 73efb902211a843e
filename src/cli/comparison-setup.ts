// What `compare` and `sample` run on: prior, methods, networks that measure, on whatever device; which batches; how much memory.
import { Comparison, type ComparisonOptions, type Cost, type Method } from "../deft/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { scheduleOf } from "../deft/networks.ts";
import type { Task } from "../deft/task.ts";
import { dryDevice, Engine, type Device } from "../tensor/index.ts";
import { unreadAll } from "./memory.ts";
import type { comparedMethods } from "./methods.ts";
import { loadMetrics, loadPrior, type RunWeights } from "./train-setup.ts";

export interface ComparisonParts {
  readonly config: Config;
  readonly task: Task;
  readonly channels: number;
  readonly side: number;
  readonly weights: RunWeights;
  /** Which algorithms, and how many samples of each. */
  readonly choose: typeof comparedMethods;
  readonly samples: number;
  readonly warmUp: boolean;
  readonly onStep?: ComparisonOptions["onStep"];
}

/** What a dry run of the first batch says. */
export interface Forecast {
  /** Bytes of GPU memory. */
  readonly peak: number;
  /** Network calls of a few steps by method; of learning, those of one iteration. */
  readonly costs: ReadonlyMap<string, Cost>;
}

/**
 * The memory of a comparison's first batch on `device`: its own code with a few steps, on a device that only counts. Throws a UserError
 * where no method can do the task.
 */
export async function forecast(
  device: Device,
  parts: ComparisonParts,
  data: ImageDataset,
  batches: Batches,
): Promise<Forecast> {
  const { channels, side } = parts;
  const engine = new Engine(dryDevice(device));
  const weights = unreadAll(parts.weights);
  const { comparison, leftOut } = await setUpComparison(engine, { ...parts, weights }, true);
  const [first, count] = batches[0] as Batches[number];
  const blank = { ...data, get: () => Promise.resolve(new Float32Array(channels * side * side)) };
  await comparison.batch(blank, first, count);
  refuseNone(comparison, leftOut);
  return { peak: engine.device.pool.stats.peak, costs: comparison.costs };
}

/**
 * Loads the networks; the h-transform's weights are the configuration's `htransform_model.ckpt_path`. `isBrief`: a few steps of each
 * method, one sample, no tables of pictures' sets.
 */
export async function setUpComparison(engine: Engine, parts: ComparisonParts, isBrief = false) {
  const { config, task, channels, side, weights } = parts;
  const schedule = scheduleOf(config.diffusion);
  const prior = await loadPrior(engine, config, schedule, weights.priorWeights);
  const transform = weights.startWeights;
  const { methods: all, leftOut } = await parts.choose({
    engine,
    config,
    schedule,
    prior,
    task,
    channels,
    transform,
  });
  const methods = isBrief ? all.map(brief) : all;
  const { stats } = engine.device.pool;
  const before = stats.live;
  const metrics = await loadMetrics(engine, config.classifier, weights, side);
  const { scale: strength } = config.classifier;
  const comparison = new Comparison(
    {
      ...metrics,
      ...{ engine, schedule, prior, task },
      guidance: metrics.classifier && strength > 0 ? { classifier: metrics.classifier, strength } : null,
      seed: config.exp.seed,
      samples: isBrief ? 1 : parts.samples,
      warmUp: parts.warmUp,
      ...(!isBrief && parts.onStep && { onStep: parts.onStep }),
      metricBytes: stats.live - before,
      now: () => performance.now() / 1000,
    },
    methods,
  );
  return { comparison, leftOut };
}

/** Throws a UserError where no method can do the task. */
export function refuseNone(
  { methods, leftOut: refused }: Comparison,
  missing: ReadonlyMap<string, string>,
): void {
  if (methods.length > 0) return;
  const reasons = [...missing, ...refused].map(([name, reason]) => `${name}: ${reason}`);
  throw new UserError(`compare.algorithms: none of them can do this task; ${reasons.join("; ")}`);
}

/** First picture and count of each batch. */
export type Batches = readonly (readonly [first: number, count: number])[];

/** A method with as many steps as its memory shows in. */
const brief = (method: Method): Method => ({
  ...method,
  ts: method.ts.slice(-2),
  options: { ...method.options, ...method.warmUp },
});

/** First picture and count of each batch from picture `from` on, as the evaluation of `train` takes them; the one picture that a deft_soc run learned. */
export function batchesOf(
  { algo, exp, loader }: Config,
  data: ImageDataset,
  from = 0,
): [first: number, count: number][] {
  const { name, soc } = algo;
  if (name === "deft_soc" && exp.checkpoint !== null) return [[soc.picture, 1]];
  const length = data.length - from;
  if (length < 1)
    throw new UserError(
      `compare.first: ${data.name} holds out ${data.length} pictures; got ${from}; expected at most ${data.length - 1}`,
    );
  const size = Math.min(loader.batch_size, length);
  const all = loader.drop_last ? Math.max(1, Math.floor(length / size)) : Math.ceil(length / size);
  const count = exp.smoke_test > 0 ? Math.min(exp.smoke_test, all) : all;
  return Array.from({ length: count }, (_, b) => [from + b * size, Math.min(size, length - b * size)]);
}
