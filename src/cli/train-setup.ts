// What a training run is made of, on whatever device: the frozen prior, the h-transform in training, the task, the schedule.
import { Batches } from "../deft/batches.ts";
import { conditioningChannels } from "../deft/config/degradation.ts";
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import type { EvaluationOptions } from "../deft/evaluate.ts";
import { FineTuning } from "../deft/finetune.ts";
import type { HTransformConfig } from "../deft/htransform.ts";
import { classifierConfig, hTransformConfig, priorConfig, scheduleOf } from "../deft/networks.ts";
import { Prior } from "../deft/prior.ts";
import { timesteps, type Schedule } from "../deft/schedule.ts";
import type { makeTask } from "../deft/task.ts";
import { UserError } from "../deft/errors.ts";
import { openWeights, weightSource, type WeightFile } from "../io/weights.ts";
import { Inception } from "../nn/inception.ts";
import { Lpips } from "../nn/lpips.ts";
import { ParameterSet } from "../nn/parameter.ts";
import { smallestSide } from "../nn/trunks.ts";
import { EncoderUNet } from "../nn/unet.ts";
import { loadWeights, type WeightSource } from "../nn/state.ts";
import type { Device, Engine } from "../tensor/index.ts";
import { PRIOR, priorFile } from "./prior-file.ts";
import { checkKind } from "./weight-kind.ts";

/** Weights and what messages call them: the option and its file. */
export interface NamedWeights {
  readonly file: string;
  readonly source: WeightSource;
}

export interface RunParts {
  readonly config: Config;
  readonly task: ReturnType<typeof makeTask>;
  readonly train: ImageDataset;
  readonly priorWeights: NamedWeights;
  /** Of the h-transform to start from; null: a new one. */
  readonly startWeights: NamedWeights | null;
  /** Of Inception-v3, to measure with; null: left out. */
  readonly inceptionWeights: NamedWeights | null;
  /** Of the classifier; null: none. */
  readonly classifierWeights: NamedWeights | null;
  /** Of LPIPS, to measure with; null: left out. */
  readonly lpipsWeights: { readonly heads: NamedWeights; readonly trunk: NamedWeights | null } | null;
}

export type RunWeights = Pick<
  RunParts,
  "priorWeights" | "startWeights" | "lpipsWeights" | "inceptionWeights" | "classifierWeights"
>;

export type Run = Awaited<ReturnType<typeof setUpRun>>;

/** Opens the weight files of a run for as long as `fn` runs. Throws a UserError that names option and file. */
export function withRunWeights<T>(config: Config, fn: (weights: RunWeights) => Promise<T>): Promise<T> {
  return whileOpen(async (open, openOrNull) => {
    const priorWeights = await open(PRIOR, priorFile(config.model.name, config.model.ckpt_path) ?? "");
    const option = config.exp.checkpoint === null ? "htransform_model.ckpt_path" : "--checkpoint";
    const startWeights = await openOrNull(option, config.htransform_model.ckpt_path);
    if (startWeights) checkKind(startWeights.source.names, "transform", startWeights.file);
    return fn({ priorWeights, startWeights, ...(await metricWeights(config, openOrNull)) });
  });
}

/** The same for the networks that measure alone. */
export function withMetricWeights<T>(config: Config, fn: (weights: MetricWeights) => Promise<T>): Promise<T> {
  return whileOpen(async (_, openOrNull) => fn(await metricWeights(config, openOrNull)));
}

type Open = (option: string, file: string) => Promise<NamedWeights>;
type OpenOrNull = (option: string, file: string | null) => Promise<NamedWeights | null>;

async function metricWeights(config: Config, openOrNull: OpenOrNull): Promise<MetricWeights> {
  const { lpips_path, lpips_trunk_path: trunk, inception_path } = config.metrics;
  const heads = await openOrNull("metrics.lpips_path", lpips_path);
  return {
    inceptionWeights: await openOrNull("metrics.inception_path", inception_path),
    classifierWeights: await openOrNull("classifier.ckpt_path", config.classifier.ckpt_path),
    lpipsWeights: heads && { heads, trunk: await openOrNull("metrics.lpips_trunk_path", trunk) },
  };
}

/** Closes what `fn` opened. */
async function whileOpen<T>(fn: (open: Open, openOrNull: OpenOrNull) => Promise<T>): Promise<T> {
  const opened: WeightFile[] = [];
  const open: Open = async (option, file) => {
    const weights = await openWeights(file, { option });
    opened.push(weights);
    return { file: `${option}: ${file}`, source: weightSource(weights) };
  };
  try {
    return await fn(open, async (option, file) => (file === null ? null : open(option, file)));
  } finally {
    for (const weights of opened) await weights.close();
  }
}

/** The line that says so where a prior asked for in float16 stays float32, else null. */
export const halfLine = ({ model }: Config, { half, adapterName }: Device): string | null =>
  model.use_fp16 && !half
    ? `model.use_fp16: ${adapterName} has no shader-f16; the prior runs in float32`
    : null;

/** The frozen prior of a configuration. */
export function loadPrior(
  engine: Engine,
  config: Config,
  schedule: Schedule,
  { source, file }: NamedWeights,
): Promise<Prior> {
  const options = {
    network: priorConfig(config.model),
    prediction: config.model.prediction_type ?? "epsilon",
    schedule,
    half: config.model.use_fp16 && engine.device.half,
  };
  return Prior.load(engine, options, source, file);
}

export type MetricWeights = Pick<RunParts, "lpipsWeights" | "inceptionWeights" | "classifierWeights">;

/** The networks that measure pictures of `side`, where their weights are given. */
export async function loadMetrics(
  engine: Engine,
  config: Config["classifier"],
  { lpipsWeights, inceptionWeights: weights, classifierWeights }: MetricWeights,
  side: number,
) {
  const lpips = lpipsWeights && (await Lpips.load(engine, lpipsWeights.heads, lpipsWeights.trunk));
  if (lpips && side < smallestSide[lpips.trunk])
    throw new UserError(
      `metrics.lpips_path: ${lpips.trunk} takes pictures of side ${smallestSide[lpips.trunk]} or more; got ${side}; leave it out or pass the heads of another network`,
    );
  const inception = weights && (await Inception.load(engine, weights.source, weights.file));
  const classifier = classifierWeights && (await loadClassifier(engine, config, classifierWeights, side));
  return { lpips, inception, classifier };
}

/** The classifier of noisy pictures of `side`; its file says how many classes it knows and how many channels it takes. */
async function loadClassifier(
  engine: Engine,
  config: Config["classifier"],
  { source, file }: NamedWeights,
  side: number,
): Promise<EncoderUNet> {
  const sizeIn = (name: string, axis: number) =>
    source.names.includes(name) ? source.shape(name)[axis] : undefined;
  const head = config.pool === "attention" ? "out.2.c_proj.weight" : "out.3.weight";
  const network = new EncoderUNet(
    classifierConfig(config, {
      imageSize: side,
      inChannels: sizeIn("input_blocks.0.0.weight", 1) ?? 3,
      classes: sizeIn(head, 0) ?? 1000,
    }),
  );
  const set = new ParameterSet(engine, network.declarations.list, { trainable: false });
  await loadWeights(set, source, "", file);
  return network;
}

/** The h-transform of a configuration for pictures of so many channels. */
export function transformNetwork(config: Config, channels: number): HTransformConfig {
  const { algo } = config;
  return hTransformConfig(config, conditioningChannels(algo.deg, channels, algo.use_x0hat), channels);
}

/** Loads the prior and builds what training needs. */
export async function setUpRun(engine: Engine, parts: RunParts) {
  const { config, task, train, startWeights } = parts;
  const schedule = scheduleOf(config.diffusion);
  const prior = await loadPrior(engine, config, schedule, parts.priorWeights);
  const { batch_size: batchSize, shuffle, drop_last: dropLast, ...o } = config.algo.finetune_args;
  const batches = new Batches(train, { batchSize, seed: config.exp.seed, shuffle, dropLast, flip: false });
  const totalSteps = o.max_steps ?? o.epochs * batches.stepsPerEpoch;
  const network = transformNetwork(config, train.channels);
  const fineTuning = new FineTuning({ engine, schedule, prior, network, task, config, totalSteps });
  if (startWeights !== null)
    await loadWeights(fineTuning.trainer.set, startWeights.source, "", startWeights.file);
  const metrics = await loadMetrics(engine, config.classifier, parts, train.side);
  return { engine, config, schedule, prior, task, batches, totalSteps, fineTuning, ...metrics };
}

/** The evaluation's settings; `evolutionSteps` where strips are shown. */
export function evaluationOptions(
  run: Run,
  numSteps: number,
  extra: Pick<EvaluationOptions, "samples" | "evolutionSteps" | "onStep">,
): EvaluationOptions {
  const { config, engine, schedule, prior, task, fineTuning, lpips, inception, classifier } = run;
  const { eta, use_ema: useAverage } = config.algo.val_args;
  const ts = timesteps(config.exp.start_step, config.exp.end_step, numSteps);
  const measured = { engine, schedule, prior, task, fineTuning, lpips, inception, classifier };
  return { ...measured, useAverage, eta, ts, seed: config.exp.seed, ...extra };
}
