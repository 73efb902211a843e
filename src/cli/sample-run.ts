// The run of `deft sample`: batches of held-out pictures, or of drawings from the prior, through one algorithm.
import { existsSync } from "node:fs";
import path from "node:path";
import type { Step } from "../deft/algorithms/algorithm.ts";
import { epochOrder, streamOf, streams } from "../deft/batches.ts";
import type { Comparison } from "../deft/compare.ts";
import type { Config } from "../deft/config/schema.ts";
import { subset, type ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { timesteps } from "../deft/schedule.ts";
import { makeTask, type Task } from "../deft/task.ts";
import { Philox, type Device } from "../tensor/index.ts";
import { classed } from "./classes.ts";
import {
  batchesOf,
  forecast,
  setUpComparison,
  type Batches,
  type ComparisonParts,
} from "./comparison-setup.ts";
import { openHeldOut } from "./data.ts";
import type { OpenedGpu } from "./dawn.ts";
import { formatBytes } from "./format.ts";
import { onInterrupt, stopped } from "./interrupt.ts";
import { sampledMethod, sampledSteps } from "./methods.ts";
import { openEngine, type OpenedEngine } from "./open-engine.ts";
import { createProgress, type Progress } from "./progress.ts";
import { measureLines } from "./report/figures.ts";
import { measuresLeftOut } from "./report/types.ts";
import { atomicWrite, openRunFolder, storedFolder, SUMMARY, type RunFolder } from "./run-folder.ts";
import { appendBatch, metricsOf, readBatches, saveSampleGrid, saveSamples } from "./sample-results.ts";
import type { DoneBatch, Summary } from "./sample-results.ts";
import { openTask } from "./task-files.ts";
import { recordTuning } from "./tuning.ts";
import { halfLine, withRunWeights, type RunWeights } from "./train-setup.ts";

/** What a new folder is named after. */
export const sampleLabel = ({ algo, sample }: Pick<Config, "algo" | "sample">): string =>
  sample.unconditional ? `sample-${algo.name}` : `sample-${algo.name}-${algo.deg}`;

/** The pictures that are restored, in their order, and the task; nothing of either for drawings from the prior alone. */
export async function openSource(config: Config): Promise<{ data: ImageDataset; task: Task }> {
  if (config.sample.unconditional) return drawings(config);
  const validation = await openHeldOut(config);
  const { exp, loader, algo } = config;
  const order = subset(validation, [...epochOrder(validation.length, exp.seed, 0, loader.shuffle)]);
  const data = classed(config, order, false);
  if (algo.name === "deft_soc" && algo.soc.picture >= data.length)
    throw new UserError(
      `algo.soc.picture: no such picture; got ${algo.soc.picture}; expected 0 to ${data.length - 1} of ${data.name}`,
    );
  return { data, task: await openTask(config, data.side, data.channels) };
}

/** As many blank pictures as are drawn: ddim reads nothing of a measurement. Classes that nobody names are drawn too. */
function drawings(config: Config): { data: ImageDataset; task: Task } {
  const { exp, loader, model, algo } = config;
  if (exp.smoke_test <= 0)
    throw new UserError(
      `exp.smoke_test: drawings from the prior have no end; got ${exp.smoke_test}; expected the number of batches`,
    );
  const side = model.image_size ?? 0;
  const channels = model.in_channels === 1 ? 1 : 3;
  const blank: ImageDataset = {
    ...{ name: `the prior ${model.name}`, length: exp.smoke_test * loader.batch_size, channels, side },
    get: () => Promise.resolve(new Float32Array(channels * side * side)),
    ...(model.class_cond && { label: (index) => randomClass(index, exp.seed, model.num_classes) }),
  };
  const data = classed(config, blank, false);
  const identity = { ...config, algo: { ...algo, deg: "deno", sigma_y: 0 } };
  return { data, task: makeTask(identity, side, channels, null) };
}

const randomClass = (index: number, seed: number, classes: number): number =>
  Math.floor(new Philox(seed, streamOf(streams.order, index)).uniform() * classes);

/** The sampling of a resolved and checked configuration. Throws UserError. */
export async function runSampling(config: Config): Promise<void> {
  const { data, task } = await openSource(config);
  const resumed = config.exp.resume ? await storedFolder(config, sampleLabel(config)) : null;
  const opened = await openEngine(config, resumed);
  try {
    await sampleOn(opened, config, data, task);
  } finally {
    task.release();
    opened.close();
  }
}

/** The same on an open engine. */
export async function sampleOn(
  { engine, gpu, tuning }: OpenedForSampling,
  config: Config,
  data: ImageDataset,
  task: Task,
): Promise<void> {
  await withRunWeights(config, async (weights) => {
    const evolution = new Evolution();
    const parts = samplingParts({ config, task, data, weights, evolution });
    const batches = batchesOf(config, data);
    const { peak } = await forecast(engine.device, parts, data, batches);
    const folder = await openRunFolder(config, sampleLabel(config));
    if (tuning) await recordTuning(folder.path, tuning);
    describe(folder, { device: engine.device, task, data, peak });
    await sampleInto(folder, { engine, gpu, parts, data, evolution, batches });
  });
}

/** x̂0 of each step of the first sample of the batch at hand, where it is wanted, and the steps done. */
export class Evolution {
  pictures: Float32Array[] = [];
  onStep: () => void = () => undefined;
}

export interface SamplingSource {
  readonly config: Config;
  readonly task: Task;
  readonly data: ImageDataset;
  readonly weights: RunWeights;
  readonly evolution: Evolution;
}

/** The set-up of one algorithm that samples. */
export function samplingParts({ config, task, data, weights, evolution }: SamplingSource): ComparisonParts {
  return {
    ...{ config, task, weights, channels: data.channels, side: data.side },
    choose: async (p) => ({ methods: [await sampledMethod(p)], leftOut: new Map() }),
    samples: config.sample.num_samples,
    warmUp: false,
    onStep: async (sample: number, { picture, x0 }: Step) => {
      if (config.exp.save_evolution && sample === 0) evolution.pictures.push(await (picture ?? x0).read());
      evolution.onStep();
    },
  };
}

interface Facts {
  readonly device: Device;
  readonly task: Task;
  readonly data: ImageDataset;
  /** Bytes of GPU memory. */
  readonly peak: number;
}

function describe({ path: run, config }: RunFolder, { device, task, data, peak }: Facts): void {
  const { algo, classifier, sample } = config;
  console.log(`run: ${run}`);
  const what = sample.unconditional
    ? `drawings from ${data.name}, side ${data.side}`
    : `task: ${algo.deg}, noise sigma_y ${task.condition.sigmaY} on [-1, 1]; ${data.name}, ${data.length} held-out pictures, side ${data.side}`;
  console.log(
    `${what}; ${algo.name}, ${timesteps(config.exp.start_step, config.exp.end_step, sampledSteps(config)).length} steps, samples of each picture: ${sample.num_samples}`,
  );
  if (classifier.ckpt_path !== null)
    console.log(
      algo.name === "ddim" && classifier.scale > 0
        ? `classifier: guides with scale ${classifier.scale}`
        : "classifier: measures only",
    );
  const half = halfLine(config, device);
  if (half !== null) console.log(half);
  console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
}

/** An open engine; a run that goes on takes the tuning that it began with. */
export type OpenedForSampling = Pick<SamplingRun, "engine" | "gpu"> & Partial<Pick<OpenedEngine, "tuning">>;

export interface SamplingRun {
  readonly engine: Parameters<typeof setUpComparison>[0];
  readonly gpu: Pick<OpenedGpu, "kind" | "name" | "line">;
  readonly parts: ComparisonParts;
  readonly data: ImageDataset;
  readonly evolution: Evolution;
  /** First picture and count of each batch. */
  readonly batches: Batches;
}

/** Draws the batches that the folder does not hold yet, and writes the summary of all. */
export async function sampleInto(folder: RunFolder, run: SamplingRun): Promise<void> {
  const { parts, data, evolution } = run;
  const { exp, sample } = folder.config;
  const known = await readBatches(folder.path);
  const isDone = ([first, count]: readonly [number, number]) =>
    known.some((batch) => batch.first === first && batch.count === count);
  const todo = run.batches.filter((batch) => !isDone(batch));
  if (folder.resumed) {
    const done = run.batches.length - todo.length;
    if (todo.length === 0 && existsSync(path.join(folder.path, SUMMARY))) {
      console.log(`resume: ${folder.path} is finished; nothing to do`);
      return;
    }
    console.log(`resume: ${done} of ${run.batches.length} batches are done`);
  }
  const { comparison } = await setUpComparison(run.engine, { ...parts, config: folder.config });
  const [method] = comparison.methods;
  if (!method) throw new Error("sample: no method");
  const progress = createProgress("sample");
  const interrupt = onInterrupt();
  const total = todo.length * comparison.samplesOf(method) * method.ts.length;
  let steps = 0;
  evolution.onStep = () => progress.update({ step: ++steps, total });
  progress.update({ step: 0, total });
  const done: DoneBatch[] = known.filter(({ first, count }) =>
    run.batches.some((batch) => batch[0] === first && batch[1] === count),
  );
  try {
    for (const [k, [first, count]] of todo.entries()) {
      if (interrupt.asked) break;
      evolution.pictures = [];
      const compared = await comparison.batch(data, first, count, undefined, learningShown(progress));
      const batch = { ...compared, evolution: evolution.pictures };
      await saveSamples(folder.path, data, batch, folder.config);
      if (!existsSync(path.join(folder.path, "grid.png")))
        await saveSampleGrid(folder.path, data, batch, sample.unconditional);
      const cost = comparison.costs.get(method.algorithm.name);
      if (!cost) throw new Error(`${method.algorithm.name}: no cost`);
      const { labels, scores, inception } = batch;
      const entry: DoneBatch = { first, count, labels, scores, inception, cost };
      appendBatch(folder.path, entry);
      done.push(entry);
      if ((k + 1) % exp.logfreq === 0 && k + 1 < todo.length)
        progress.print(measureLines(metricsOf(done, sample.unconditional), sample.unconditional).join("\n"));
    }
  } finally {
    progress.done();
    interrupt.release();
  }
  if (done.length < run.batches.length) {
    stopped(
      `stopped after ${done.length} of ${run.batches.length} batches; go on with: deft sample --resume exp.name=${folder.name}`,
    );
    return;
  }
  await writeSummary(folder, run, comparison, done);
}

/** Shows the steps of learning on a line of its own. */
function learningShown(progress: Progress): (method: string, step: number, total: number) => void {
  let shown = 0;
  return (method, step, total) => {
    const percent = Math.floor((100 * step) / total);
    if (percent < shown + 10) return;
    shown = percent - (percent % 10);
    progress.print(`${method}: learned ${step} of ${total} iterations`);
  };
}

async function writeSummary(
  folder: RunFolder,
  { gpu, data }: SamplingRun,
  comparison: Comparison,
  done: readonly DoneBatch[],
): Promise<void> {
  const { algo, exp, sample } = folder.config;
  const [method] = comparison.methods;
  const cost = done.at(-1)?.cost;
  if (!method || !cost) throw new Error("sample: nothing was drawn");
  const inOrder = [...done].sort((a, b) => a.first - b.first);
  const metrics = metricsOf(inOrder, sample.unconditional);
  const learned = cost.learning && {
    network_calls: cost.learning.calls,
    seconds_per_image: cost.learning.secondsPerImage,
  };
  const classes = inOrder.flatMap(({ labels }) => labels ?? []);
  const summary: Summary = {
    task: sample.unconditional ? null : algo.deg,
    sigma_y: sample.unconditional ? null : algo.sigma_y,
    algorithm: algo.name,
    options: method.options,
    steps: method.ts.length,
    samples: comparison.samplesOf(method),
    pictures: inOrder.reduce((n, { count }) => n + count, 0),
    seed: exp.seed,
    adapter: { kind: gpu.kind, name: gpu.name, line: gpu.line },
    network_calls: cost.calls,
    ...(learned && { learning: learned }),
    seconds_per_image: cost.secondsPerImage,
    gpu_peak_bytes: cost.peakBytes,
    ...(data.label && { classes }),
    metrics,
    measures_left_out: measuresLeftOut(metrics, sample.unconditional),
  };
  await atomicWrite(path.join(folder.path, SUMMARY), `${JSON.stringify(summary, null, 2)}\n`);
  for (const line of measureLines(metrics, sample.unconditional)) console.log(line);
  console.log(`samples: ${path.join(folder.path, "pictures")}`);
}
