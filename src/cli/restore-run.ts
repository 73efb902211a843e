// The run of `deft restore`: tiles of each picture, batch by batch, through DEFT's sampler, and the files that come of them.
import path from "node:path";
import { streamOf, streams } from "../deft/batches.ts";
import type { Config } from "../deft/config/schema.ts";
import { HTransform } from "../deft/htransform.ts";
import { deviationOf, meanOf } from "../deft/metrics.ts";
import { scheduleOf } from "../deft/networks.ts";
import { deftPredict, sampleDdim, type Predict } from "../deft/sample.ts";
import { timesteps, type Schedule } from "../deft/schedule.ts";
import { makeTask, type Layout, type Task, type TaskFiles } from "../deft/task.ts";
import { blend, cut, tileOrigin, type TilePlan } from "../deft/tiles.ts";
import { writePng, type Picture } from "../io/images.ts";
import { ParameterSet } from "../nn/parameter.ts";
import { loadWeights } from "../nn/state.ts";
import {
  concat,
  dryDevice,
  Engine,
  permute,
  randomNormal,
  reshape,
  slice,
  type Tensor,
} from "../tensor/index.ts";
import { checkTrained } from "./check-inputs.ts";
import { formatBytes } from "./format.ts";
import { unread } from "./memory.ts";
import { openEngine } from "./open-engine.ts";
import { priorFile, readPriorNetwork, sizeOfPrior } from "./prior-file.ts";
import { createProgress } from "./progress.ts";
import { checkPrior } from "./resolve-run.ts";
import { planInputs } from "./restore-inputs.ts";
import type { RestoreInput, RestoreInputs, RestoreRequest } from "./restore-inputs.ts";
import { TRANSFORM } from "./run-folder.ts";
import { readTaskFiles } from "./task-files.ts";
import {
  halfLine,
  loadPrior,
  transformNetwork,
  withRunWeights,
  type NamedWeights,
  type RunParts,
} from "./train-setup.ts";

/** Steps that the forecast of memory counts: the first makes what later ones find, such as transformed weights. */
const COUNTED_STEPS = 2;

/** Standard deviation, on [-1, 1], that the map shows as white. */
const WHITE_DEVIATION = 0.5;

/** Restores the pictures of a request and writes them. Throws UserError. */
export async function runRestoring(request: RestoreRequest): Promise<void> {
  const { config, run } = request;
  checkTrained(config);
  const prior = priorFile(config.model.name, config.model.ckpt_path) ?? "";
  checkPrior(config, await readPriorNetwork(prior), prior, `the run ${run}`);
  const files = await readTaskFiles(config);
  const planned = await planInputs(request, files);
  const opened = await openEngine(config);
  try {
    await restoreInputs(opened.engine, request, planned, files);
  } finally {
    opened.close();
  }
}

/** The same on an open engine, for inputs that are checked. */
export async function restoreInputs(
  engine: Engine,
  request: RestoreRequest,
  planned: RestoreInputs,
  files: TaskFiles,
): Promise<void> {
  const { config, samples, run, out } = request;
  const { inputs, layout, masks } = planned;
  const { side, channels } = sizeOfPrior(config);
  const task = makeTask(config, side, channels, masks, files);
  const ts = timesteps(config.exp.start_step, config.exp.end_step, config.exp.num_steps);
  const batchSize = config.loader.batch_size;
  const tiles = inputs.reduce((n, { plan }) => n + plan.count, 0);
  const batches = inputs.reduce((n, { plan }) => n + Math.ceil(plan.count / batchSize), 0);
  const total = batches * samples * ts.length;
  const common = { task, layout, ts, eta: config.algo.val_args.eta, samples, batchSize };
  console.log(
    `restore: ${count(inputs.length, "picture")} by ${config.algo.deg} of ${run}, ${count(tiles, "tile")} of side ${side}, ${count(samples, "sample")} of ${count(ts.length, "step")}`,
  );
  if (planned.maskLine !== null) console.log(planned.maskLine);
  const progress = createProgress("restore");
  let done = 0;
  try {
    await withRunWeights(weightsOf(config, run), async (weights) => {
      const onStep = () => progress.update({ step: ++done, total });
      const o = { ...common, engine, seed: config.exp.seed, onStep };
      const peak = await predictedPeak(o, config, weights, inputs);
      const half = halfLine(config, engine.device);
      if (half !== null) console.log(half);
      console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
      const networks = await loadNetworks(engine, config, weights);
      progress.update({ step: 0, total });
      for (const input of inputs) await writeOutputs(input, await restoreTiles({ ...o, ...networks }, input));
    });
  } finally {
    progress.done();
    task.release();
  }
  console.log(`restored: ${count(inputs.length, "picture")} in ${out}`);
}

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

interface Networks {
  readonly schedule: Schedule;
  readonly channels: number;
  /** DEFT's prediction for a measurement. */
  readonly predict: (
    task: Task,
    operator: ReturnType<Task["operator"]>,
    y: Tensor,
    label: number | null,
  ) => Predict;
}

type Weights = Pick<RunParts, "priorWeights" | "startWeights">;

/** The run's configuration with its trained network, without networks that measure. */
const weightsOf = (config: Config, run: string): Config => ({
  ...config,
  exp: { ...config.exp, checkpoint: run },
  htransform_model: { ...config.htransform_model, ckpt_path: path.join(run, TRANSFORM) },
  classifier: { ...config.classifier, ckpt_path: null },
  metrics: { lpips_path: null, lpips_trunk_path: null, inception_path: null },
});

/** The prior and the run's trained network. */
async function loadNetworks(
  engine: Engine,
  config: Config,
  { priorWeights, startWeights }: Weights,
): Promise<Networks> {
  const { channels } = sizeOfPrior(config);
  const schedule = scheduleOf(config.diffusion);
  const prior = await loadPrior(engine, config, schedule, priorWeights);
  const hTransform = new HTransform(transformNetwork(config, channels));
  const set = new ParameterSet(engine, hTransform.declarations.list, { trainable: false });
  const { source, file } = startWeights as NamedWeights;
  await loadWeights(set, source, "", file);
  return {
    schedule,
    channels,
    predict: (task, operator, y, label) => {
      const denoise = prior.labelled(label === null ? null : [label]);
      return deftPredict(schedule, denoise, hTransform, operator, y, task.condition);
    },
  };
}

/** Peak bytes of the input with the most tiles, its first steps run on a device that only counts. */
async function predictedPeak(
  o: Omit<TileOptions, keyof Networks>,
  config: Config,
  { priorWeights, startWeights }: Weights,
  inputs: readonly RestoreInput[],
): Promise<number> {
  const engine = new Engine(dryDevice(o.engine.device));
  const blank = { priorWeights: unread(priorWeights), startWeights: startWeights && unread(startWeights) };
  const networks = await loadNetworks(engine, config, blank);
  const largest = inputs.reduce((a, b) => (b.plan.count > a.plan.count ? b : a));
  const counted = {
    ...o,
    ...networks,
    engine,
    ts: o.ts.slice(-COUNTED_STEPS),
    samples: 1,
    onStep: () => undefined,
  };
  await restoreBatch(counted, largest, await largest.read(), 0);
  return engine.device.pool.stats.peak;
}

interface TileOptions extends Networks {
  readonly engine: Engine;
  readonly task: Task;
  readonly layout: Layout;
  readonly ts: readonly number[];
  readonly eta: number;
  readonly samples: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly onStep: () => void;
}

/** Samples of the whole picture, each blended of its tiles and clamped to [-1, 1]. */
async function restoreTiles(o: TileOptions, input: RestoreInput): Promise<Picture[]> {
  const { plan } = input;
  const measurement = await input.read();
  const tiles = Array.from({ length: o.samples }, (): Float32Array[] => []);
  for (let first = 0; first < plan.count; first += o.batchSize) {
    const restored = await restoreBatch(o, input, measurement, first);
    tiles.forEach((own, k) => own.push(...(restored[k] as Float32Array[])));
  }
  await o.engine.device.trim();
  const { height, width } = plan;
  return tiles.map((own) => ({
    data: blend(plan, o.channels, own).map((v) => Math.min(1, Math.max(-1, v))),
    channels: o.channels === 1 ? 1 : 3,
    height,
    width,
  }));
}

/** The tiles of the batch that begins with tile `first`, sample by sample. */
async function restoreBatch(
  o: TileOptions,
  { plan, first: offset, label }: RestoreInput,
  measurement: Picture,
  first: number,
): Promise<Float32Array[][]> {
  const { engine, channels } = o;
  const size = channels * plan.side ** 2;
  const indices = Array.from({ length: Math.min(o.batchSize, plan.count - first) }, (_, k) => first + k);
  const values = indices.map((index) => measuredTile(measurement, plan, o.layout, index));
  const { operator, y } = engine.noGrad(() =>
    engine.scope(() => {
      const operator = o.task.operator(
        engine,
        indices.map((index) => offset + index),
      );
      for (const t of operator.held) t.keep();
      const all = new Float32Array(values.reduce((n, v) => n + v.length, 0));
      values.forEach((v, i) => all.set(v, i * v.length));
      return { operator, y: engine.tensor(all, [indices.length, ...operator.outShape], "tiles").keep() };
    }),
  );
  const samples: Float32Array[][] = [];
  for (let k = 0; k < o.samples; k++) {
    const draw = (purpose: number, step: number) =>
      tileNoise(engine, plan, indices, {
        channels,
        seed: o.seed,
        stream: streamOf(purpose, step * 64 + k),
      });
    const result = await sampleDdim({
      engine,
      schedule: o.schedule,
      ts: o.ts,
      eta: o.eta,
      predict: o.predict(o.task, operator, y, label),
      start: draw(streams.start, 0),
      noise: (step) => draw(streams.sample, step),
      onStep: o.onStep,
    });
    const restored = await result.read();
    result.dispose();
    samples.push(indices.map((_, i) => restored.slice(i * size, (i + 1) * size)));
  }
  for (const t of [y, ...operator.held]) t.dispose();
  return samples;
}

/** The part of the measurement that is that of a tile. */
function measuredTile(y: Picture, plan: TilePlan, { footprint }: Layout, index: number): Float32Array {
  const { scale, lost } = footprint;
  const [top, left] = tileOrigin(plan, index).map((v) => v / scale) as [number, number];
  const [height, width] = lost.map((v) => (plan.side - v) / scale) as [number, number];
  return cut(y, { top, left, height, width });
}

/** Noise of tiles, cut from that of the picture: where tiles overlap they have the same. Its row r depends on seed, stream and r alone. */
export function tileNoise(
  engine: Engine,
  plan: TilePlan,
  indices: readonly number[],
  { channels, ...random }: { readonly channels: number; readonly seed: number; readonly stream: number },
): Tensor {
  const { side, width } = plan;
  return engine.scope(() => {
    const bands = new Map<number, Tensor>();
    const tiles = indices.map((index) => {
      const [top, left] = tileOrigin(plan, index);
      const band = bands.get(top) ?? randomNormal(engine, [side, channels, width], { ...random, first: top });
      bands.set(top, band);
      const own = slice(band, [0, 0, left], [side, channels, left + side]);
      return reshape(permute(own, [1, 0, 2]), [1, channels, side, side]);
    });
    return concat(tiles, 0);
  });
}

/** The first sample; of several also their mean and the map of their standard deviation, black where they agree. */
export async function writeOutputs(
  { output }: Pick<RestoreInput, "output">,
  samples: readonly Picture[],
): Promise<void> {
  const [first] = samples as [Picture];
  await writePng(output(""), first);
  if (samples.length === 1) return;
  const values = samples.map(({ data }) => data);
  await writePng(output("_mean"), { ...first, data: meanOf(values) });
  const deviation = deviationOf(values, first.channels).map((v) => (2 * v) / WHITE_DEVIATION - 1);
  await writePng(output("_std"), { ...first, channels: 1, data: deviation });
}
