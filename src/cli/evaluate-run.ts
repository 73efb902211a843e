// The run of `deft evaluate`: measures of pictures that are there, no sampling. The GPU is opened for measures that need a network.
import path from "node:path";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import { hits, inceptionScores, perceptual } from "../deft/evaluate.ts";
import { average, psnr, type ImageShape } from "../deft/metrics.ts";
import { measureSet, type InceptionOutputs } from "../deft/metrics/sets.ts";
import { ssim } from "../deft/ssim.ts";
import { readWhole, type Picture } from "../io/images.ts";
import { smallestSide } from "../nn/trunks.ts";
import type { Engine, Tensor } from "../tensor/index.ts";
import type { EvaluatedPicture, EvaluateInputs } from "./evaluate-inputs.ts";
import { openEngine } from "./open-engine.ts";
import { createProgress } from "./progress.ts";
import { measureLines } from "./report/figures.ts";
import { measuresLeftOut } from "./report/types.ts";
import { atomicWrite } from "./run-folder.ts";
import type { RowMeasures } from "./sample-results.ts";
import { loadMetrics, withMetricWeights } from "./train-setup.ts";

export interface EvaluationRun {
  readonly config: Config;
  readonly inputs: EvaluateInputs;
  readonly samples: string;
  readonly against: string | null;
}

/** Measures the pictures, prints the table and writes metrics.json into their folder. Throws UserError. */
export async function runEvaluation(run: EvaluationRun): Promise<void> {
  const { metrics, classifier } = run.config;
  const needsGpu = [metrics.lpips_path, metrics.inception_path, classifier.ckpt_path].some((f) => f !== null);
  if (!needsGpu) return evaluateOn(null, run);
  const opened = await openEngine(run.config);
  try {
    await evaluateOn(opened.engine, run);
  } finally {
    opened.close();
  }
}

type Networks = Awaited<ReturnType<typeof loadMetrics>>;

/** The same on an open engine; null: without networks. */
export async function evaluateOn(
  engine: Engine | null,
  { config, inputs, samples, against }: EvaluationRun,
): Promise<void> {
  const all = [...inputs.rows.values()].flat();
  const isPaired = all.every(({ original }) => original !== null);
  if (!isPaired && config.metrics.inception_path === null)
    throw new UserError(
      "--against: no picture has an original of its name, so only whole sets can be compared; pass metrics.inception_path=FILE, or originals under the same names",
    );
  const measured = await withMetricWeights(config, async (weights) => {
    const first = await readWhole(all[0]?.file ?? "");
    const side = Math.min(first.height, first.width);
    const networks = engine && (await loadMetrics(engine, config.classifier, weights, side));
    const total = all.length + (networks?.inception ? inputs.originals.length : 0);
    const progress = createProgress("evaluate");
    let step = 0;
    const onPicture = () => progress.update({ step: ++step, total });
    progress.update({ step, total });
    try {
      const originals = await outputsOf(engine, networks, inputs.originals, onPicture);
      const rows: [string, RowMeasures][] = [];
      for (const [row, pictures] of inputs.rows)
        rows.push([row, await measureRow(engine, networks, pictures, originals, onPicture)]);
      return Object.fromEntries(rows);
    } finally {
      progress.done();
    }
  });
  const json = {
    samples,
    against,
    pictures: all.length,
    originals: inputs.originals.length,
    metrics: measured,
    measures_left_out: measuresLeftOut(measured),
  };
  const file = path.join(samples, METRICS);
  await atomicWrite(file, `${JSON.stringify(json, null, 2)}\n`);
  for (const line of measureLines(measured)) console.log(line);
  console.log(`metrics: ${file}`);
}

export const METRICS = "metrics.json";

/** What Inception says of the originals; empty without it. */
async function outputsOf(
  engine: Engine | null,
  networks: Networks | null,
  files: readonly string[],
  onPicture: () => void,
): Promise<InceptionOutputs[]> {
  const outputs: InceptionOutputs[] = [];
  if (!engine || !networks?.inception) return outputs;
  for (const file of files) {
    const picture = await readWhole(file);
    const network = networks.inception;
    outputs.push(await onGpu(engine, picture, (x) => inceptionScores({ x }, picture.data, network)));
    onPicture();
  }
  return outputs;
}

async function measureRow(
  engine: Engine | null,
  networks: Networks | null,
  pictures: readonly EvaluatedPicture[],
  originals: readonly InceptionOutputs[],
  onPicture: () => void,
): Promise<RowMeasures> {
  const scores = { psnr: [] as number[], ssim: [] as number[], lpips: [] as number[], top1: [] as number[] };
  const outputs: InceptionOutputs[] = [];
  for (const { file, original, label } of pictures) {
    const sample = await readWhole(file);
    const pair = original === null ? null : matched(file, sample, original, await readWhole(original));
    if (pair) {
      const shape: ImageShape = [1, pair.sample.channels, sample.height, sample.width];
      scores.psnr.push(...psnr(pair.sample.data, pair.original.data, shape));
      scores.ssim.push(...ssim(pair.sample.data, pair.original.data, shape));
    }
    if (engine && networks)
      await withNetworks(engine, networks, { file, sample, pair, label, scores, outputs });
    onPicture();
  }
  const means = Object.entries(scores).flatMap(([name, values]) =>
    values.length === pictures.length ? [[name, average(values)] as const] : [],
  );
  return { ...Object.fromEntries(means), ...(originals.length > 0 && measureSet(originals, outputs)) };
}

interface Pair {
  readonly sample: Picture;
  readonly original: Picture;
}

interface OnePicture {
  readonly file: string;
  readonly sample: Picture;
  readonly pair: Pair | null;
  readonly label: number | null;
  readonly scores: { readonly lpips: number[]; readonly top1: number[] };
  readonly outputs: InceptionOutputs[];
}

async function withNetworks(engine: Engine, networks: Networks, o: OnePicture): Promise<void> {
  const { lpips, inception, classifier } = networks;
  const { file, sample, pair, label, scores, outputs } = o;
  const { height, width } = sample;
  if (lpips && pair) {
    const least = smallestSide[lpips.trunk];
    if (Math.min(height, width) < least)
      throw new UserError(
        `${file}: ${width}x${height}; LPIPS by ${lpips.trunk} takes sides of ${least} or more`,
      );
    scores.lpips.push(...(await onGpu(engine, pair.original, (x) => perceptual(lpips, pair.sample.data, x))));
  }
  if (inception)
    outputs.push(await onGpu(engine, sample, (x) => inceptionScores({ x }, sample.data, inception)));
  if (classifier && label !== null) {
    const { imageSize, inChannels } = classifier.config;
    const own = inChannels === 3 ? wide(sample) : sample;
    if (height !== imageSize || width !== imageSize || own.channels !== inChannels)
      throw new UserError(
        `${file}: a picture of ${width}x${height} with ${own.channels} channels; the classifier takes ${imageSize}x${imageSize} with ${inChannels}`,
      );
    scores.top1.push(...(await onGpu(engine, own, (x) => hits(classifier, own.data, x, [label]))));
  }
}

/** Both of as many channels. Throws a UserError where their sizes differ. */
function matched(file: string, sample: Picture, originalFile: string, original: Picture): Pair {
  if (sample.height !== original.height || sample.width !== original.width)
    throw new UserError(
      `${file}: ${sample.width}x${sample.height}, its original ${originalFile} ${original.width}x${original.height}; expected one size`,
    );
  if (sample.channels === original.channels) return { sample, original };
  return { sample: wide(sample), original: wide(original) };
}

/** A grey picture with its channel three times. */
function wide(picture: Picture): Picture {
  if (picture.channels === 3) return picture;
  const { data } = picture;
  const three = new Float32Array(3 * data.length);
  for (let c = 0; c < 3; c++) three.set(data, c * data.length);
  return { ...picture, data: three, channels: 3 };
}

async function onGpu<T>(
  engine: Engine,
  { data, channels, height, width }: Picture,
  fn: (x: Tensor) => Promise<T>,
): Promise<T> {
  const x = engine.tensor(Float32Array.from(data), [1, channels, height, width], "picture");
  try {
    return await fn(x);
  } finally {
    x.dispose();
  }
}
