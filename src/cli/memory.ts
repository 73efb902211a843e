// How much GPU memory a run will take: its own code, run on a device that only counts.
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { restoreBatch } from "../deft/evaluate.ts";
import { scheduleOf } from "../deft/networks.ts";
import { Pretraining } from "../deft/pretrain.ts";
import type { WeightSource } from "../nn/state.ts";
import { dryDevice, Engine, sizeOf, type Device } from "../tensor/index.ts";
import {
  evaluationOptions,
  setUpRun,
  type NamedWeights,
  type RunParts,
  type RunWeights,
} from "./train-setup.ts";

/** Steps that are counted: the first makes what later ones find, such as transformed weights. */
const STEPS = 2;

/** Peak bytes of fine-tuning and evaluation on `device`. Reads no weights and no pictures; checks that the weights fit. */
export async function predictedPeak(
  device: Device,
  parts: RunParts,
  validation: ImageDataset,
): Promise<number> {
  const engine = new Engine(dryDevice(device));
  const run = await setUpRun(engine, { ...parts, ...unreadAll(parts) });
  const { config, fineTuning } = run;
  const { channels, side } = parts.train;
  const count = Math.min(config.algo.finetune_args.batch_size, parts.train.length);
  const values = new Float32Array(count * channels * side * side);
  const labels = config.model.class_cond ? new Array<number>(count).fill(0) : null;
  for (let step = 0; step < STEPS; step++) fineTuning.step({ values, count, epoch: 0, labels }).dispose();
  const options = evaluationOptions(run, config.exp.num_steps, { samples: 1, evolutionSteps: 0 });
  const blank = { ...validation, get: () => Promise.resolve(new Float32Array(channels * side * side)) };
  // The largest of the batches that are restored, in training and after it.
  const val = config.algo.val_args;
  const wanted = [
    config.loader.batch_size,
    val.sample_freq > 0 ? val.batch_size : 0,
    val.psnr_sample_freq > 0 ? val.psnr_batch_size : 0,
  ];
  const batch = Math.min(Math.max(...wanted), validation.length);
  await restoreBatch({ ...options, ts: options.ts.slice(-STEPS) }, blank, 0, batch);
  return engine.device.pool.stats.peak;
}

/** Peak bytes of training a prior and drawing `drawn` pictures from it. */
export async function pretrainingPeak(device: Device, config: Config, drawn: number): Promise<number> {
  const engine = new Engine(dryDevice(device));
  const run = new Pretraining(engine, scheduleOf(config.diffusion), config);
  const { inChannels, imageSize } = run.network.config;
  const count = config.pretrain.batch_size;
  const values = new Float32Array(count * inChannels * imageSize ** 2);
  for (let step = 0; step < STEPS; step++) run.step({ values, count, epoch: 0, labels: null }).dispose();
  await run.sample(drawn, STEPS, 0);
  return engine.device.pool.stats.peak;
}

/** The weights of a run with zeros for values, so that nothing is read. */
export function unreadAll({ priorWeights, startWeights, ...o }: RunWeights): RunWeights {
  const { lpipsWeights: lpips, inceptionWeights: inception, classifierWeights: classifier } = o;
  return {
    priorWeights: unread(priorWeights),
    startWeights: startWeights && unread(startWeights),
    inceptionWeights: inception && unread(inception),
    classifierWeights: classifier && unread(classifier),
    lpipsWeights: lpips && { heads: unread(lpips.heads), trunk: lpips.trunk && unread(lpips.trunk) },
  };
}

/** The same names and shapes, zeros for values. */
export function unread({ file, source }: NamedWeights): NamedWeights {
  let zeros = new Float32Array();
  const read: WeightSource["read"] = (name) => {
    const size = sizeOf(source.shape(name));
    if (zeros.length < size) zeros = new Float32Array(size);
    return Promise.resolve(zeros.subarray(0, size));
  };
  return { file, source: { ...source, read } };
}
