// The run of `deft compare`: prior, pictures, methods, and what it leaves in its folder.
import { epochOrder } from "../deft/batches.ts";
import { Comparison, type ComparedBatch } from "../deft/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import { subset, type ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { scheduleOf } from "../deft/networks.ts";
import type { Task } from "../deft/task.ts";
import type { Engine } from "../tensor/index.ts";
import { methodsOf } from "./compare-methods.ts";
import { saveComparedPictures, writeComparison } from "./compare-results.ts";
import { openData } from "./data.ts";
import { openEngine } from "./open-engine.ts";
import { createProgress } from "./progress.ts";
import { openRunFolder } from "./run-folder.ts";
import { loadMetrics, loadPrior, withRunWeights, type RunParts } from "./train-setup.ts";
import { openTask } from "./task-files.ts";

/** The comparison of a resolved and checked configuration. Throws UserError. */
export async function runComparison(config: Config): Promise<void> {
  const { validation } = await openData(config);
  const { deg, sigma_y: sigma } = config.algo;
  const task = await openTask(config, validation.side, validation.channels);
  const opened = await openEngine(config);
  try {
    const { engine } = opened;
    const { comparison, leftOut } = await withRunWeights(config, (weights) =>
      setUpComparison(engine, {
        config,
        task,
        channels: validation.channels,
        side: validation.side,
        weights,
      }),
    );
    const folder = await openRunFolder(config, `compare-${deg}`);
    const { seed } = config.exp;
    const order = subset(validation, [...epochOrder(validation.length, seed, 0, config.loader.shuffle)]);
    console.log(`run: ${folder.path}`);
    console.log(
      `task: ${deg}, noise sigma_y ${sigma ?? 0} on [-1, 1]; ${validation.name}, side ${validation.side}; the same measurements and draws for all`,
    );
    const batches: ComparedBatch[] = [];
    for (const [first, count] of batchesOf(config, order)) {
      const compared = await compareBatch(comparison, order, first, count);
      refuseNone(comparison, leftOut);
      await saveComparedPictures(folder.path, order, compared);
      // Only the first batch is shown; the others keep their scores and deviations.
      const bare = { ...compared, pictures: new Map(), original: new Float32Array() };
      batches.push(batches.length === 0 ? compared : bare);
    }
    await writeComparison({
      folder,
      gpu: opened.gpu,
      task,
      data: order,
      batches,
      comparison,
      leftOut: new Map([...leftOut, ...comparison.leftOut]),
    });
  } finally {
    task.release();
    opened.close();
  }
}

export interface ComparisonParts {
  readonly config: Config;
  readonly task: Task;
  readonly channels: number;
  readonly side: number;
  readonly weights: Pick<RunParts, "priorWeights" | "startWeights" | "lpipsWeights" | "inceptionWeights">;
}

/** Loads the networks; the h-transform's weights are the configuration's `htransform_model.ckpt_path`. */
export async function setUpComparison(engine: Engine, parts: ComparisonParts) {
  const { config, task, channels, side, weights } = parts;
  const schedule = scheduleOf(config.diffusion);
  const prior = await loadPrior(engine, config, schedule, weights.priorWeights);
  const transform = config.compare.checkpoint === null ? null : weights.startWeights;
  const { methods, leftOut } = await methodsOf({
    engine,
    config,
    schedule,
    prior,
    task,
    channels,
    transform,
  });
  const { stats } = engine.device.pool;
  const before = stats.live;
  const metrics = await loadMetrics(engine, weights, side);
  const comparison = new Comparison(
    {
      ...metrics,
      ...{ engine, schedule, prior, task },
      seed: config.exp.seed,
      samples: config.compare.num_samples,
      metricBytes: stats.live - before,
      now: () => performance.now() / 1000,
    },
    methods,
  );
  return { comparison, leftOut };
}

async function compareBatch(
  comparison: Comparison,
  data: ImageDataset,
  first: number,
  count: number,
): Promise<ComparedBatch> {
  const progress = createProgress(`compare pictures ${first + 1} to ${first + count}`);
  try {
    return await comparison.batch(data, first, count, (step, total) => progress.update({ step, total }));
  } finally {
    progress.done();
  }
}

function refuseNone({ methods, leftOut: refused }: Comparison, missing: ReadonlyMap<string, string>): void {
  if (methods.length > 0) return;
  const reasons = [...missing, ...refused].map(([name, reason]) => `${name}: ${reason}`);
  throw new UserError(`compare.algorithms: none of them can do this task; ${reasons.join("; ")}`);
}

/** First picture and count of each batch from `compare.first` on, as the evaluation of `train` takes them. */
export function batchesOf(
  { exp, loader, compare: { first } }: Config,
  data: ImageDataset,
): [first: number, count: number][] {
  const length = data.length - first;
  if (length < 1)
    throw new UserError(
      `compare.first: ${data.name} holds out ${data.length} pictures; got ${first}; expected at most ${data.length - 1}`,
    );
  const size = Math.min(loader.batch_size, length);
  const all = loader.drop_last ? Math.max(1, Math.floor(length / size)) : Math.ceil(length / size);
  const count = exp.smoke_test > 0 ? Math.min(exp.smoke_test, all) : all;
  return Array.from({ length: count }, (_, b) => [first + b * size, Math.min(size, length - b * size)]);
}
