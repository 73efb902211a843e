// Restoring held-out pictures with every method of the table, and measuring them.
import type { Lpips } from "../nn/lpips.ts";
import type { EncoderUNet } from "../nn/unet.ts";
import { affine, randomNormal, type Engine, type Tensor } from "../tensor/index.ts";
import { streamOf, streams, upload } from "./batches.ts";
import { bicubicUpsample } from "./bicubic.ts";
import type { ImageDataset } from "./dataset.ts";
import { UserError } from "./errors.ts";
import { measureNoisy, type FineTuning } from "./finetune.ts";
import { average, consistency, meanOf, psnr, type ImageShape } from "./metrics.ts";
import { topOne } from "./metrics/classifier.ts";
import {
  inceptionOf,
  measureSet,
  type FeatureNetwork,
  type InceptionOutputs,
  type SetMeasures,
} from "./metrics/sets.ts";
import type { Operator } from "./operator.ts";
import type { Prior } from "./prior.ts";
import { projectedPredict, sampleDdim, type Predict } from "./sample.ts";
import type { Schedule } from "./schedule.ts";
import { ssim } from "./ssim.ts";
import type { Task } from "./task.ts";

/** Methods of the table. */
export type MethodName = "pinv" | "bicubic" | "prior" | "deft" | "deft_mean4";

export interface Measures {
  readonly psnr: number;
  readonly ssim: number;
  readonly consistency: number;
  /** Absent where no weights were given. */
  readonly lpips?: number;
  /** Share of the pictures that the classifier takes for their class, 0 … 1; absent without classifier or classes. */
  readonly top1?: number;
}

/** Networks that measure single pictures; null or absent: their measure is left out. */
export interface Measuring {
  readonly lpips?: Lpips | null;
  readonly classifier?: EncoderUNet | null;
}

/** The same, one number a picture. */
export type Scores = { readonly [K in keyof Measures]: ArrayLike<number> };

export interface EvaluationOptions extends Measuring {
  readonly engine: Engine;
  readonly schedule: Schedule;
  readonly prior: Prior;
  readonly task: Task;
  readonly fineTuning: FineTuning;
  /** Measures FID, KID and Inception score; without it they are left out. */
  readonly inception?: FeatureNetwork | null;
  readonly useAverage: boolean;
  readonly eta: number;
  /** Ascending timesteps of the sampler. */
  readonly ts: readonly number[];
  readonly seed: number;
  /** Samples behind the mean; the first of them is the method "deft". */
  readonly samples: number;
  /** Sees each sampling step that is done, for a progress bar. */
  readonly onStep?: () => void;
  /** Steps of the first sample of which x̂0 is kept, spread from the first to the last; 0: none. */
  readonly evolutionSteps: number;
}

/** A batch restored: host arrays [n, C, H, W] in [-1, 1]. */
export interface Restored {
  readonly count: number;
  readonly original: Float32Array;
  readonly measurement: {
    readonly values: Float32Array;
    readonly shape: readonly number[];
    /** In [-1, 1], as pictures are. */
    readonly isPicture: boolean;
  };
  readonly methods: ReadonlyMap<MethodName, Float32Array>;
  /** x̂0 of the steps kept of the first sample, from noise to picture. */
  readonly evolution: readonly Float32Array[];
  /** One number a picture. */
  readonly scores: ReadonlyMap<MethodName, Scores>;
  /** What Inception says of the pictures; empty without it. */
  readonly inception: ReadonlyMap<MethodName | "original", InceptionOutputs>;
}

/** At most `count` of 0 … n−1, evenly spread, from the first to the last. */
export function spread(n: number, count: number): number[] {
  const steps = Math.min(count, n);
  return Array.from({ length: steps }, (_, i) => Math.round((i * (n - 1)) / Math.max(1, steps - 1)));
}

/** The measurement noise of the evaluation has a step number of its own, which training does not reach. */
const EVALUATION = 0xfff0000;

/** Number of sampling steps that `restoreBatch` reports. */
export const evaluationSteps = (o: Pick<EvaluationOptions, "samples" | "ts">): number =>
  (o.samples + 1) * o.ts.length;

/** A batch of held-out pictures and their measurement; the tensors are `close`'s to dispose of. */
export interface OpenBatch extends Pick<Restored, "count" | "original" | "measurement"> {
  /** Number of the first picture. */
  readonly first: number;
  readonly shape: ImageShape;
  readonly operator: Operator;
  readonly x: Tensor;
  readonly y: Tensor;
  /** The pictures' classes; null where they have none. */
  readonly labels: readonly number[] | null;
  /** The operator of picture k alone, for so many copies of it; `held` is the caller's to dispose of. */
  single(k: number, copies: number): Operator;
  close(): Promise<void>;
}

/** Reads pictures first … first+count−1 of `data` and measures them; noise and masks follow from the pictures' numbers, not from the batch. */
export async function openBatch(
  {
    engine,
    task,
    seed,
    classifier,
  }: Pick<EvaluationOptions, "engine" | "task" | "seed"> & Pick<Measuring, "classifier">,
  data: ImageDataset,
  first: number,
  count: number,
): Promise<OpenBatch> {
  const { channels, side, label } = data;
  const labels = label ? Array.from({ length: count }, (_, k) => label(first + k)) : null;
  // Of all pictures, not of this batch alone: nobody wants to hear of it hours later.
  if (classifier && label) checkKnown(classifier, { length: data.length, at: label });
  const shape: ImageShape = [count, channels, side, side];
  const original = new Float32Array(count * channels * side * side);
  const size = original.length / count;
  for (let i = 0; i < count; i++) original.set(await data.get(first + i), i * size);
  // Drawn masks come from the far end of the numbering, which training does not reach; of stored ones each picture takes its own.
  const start = task.masks?.count === undefined ? 0x7fff0000 : 0;
  const mask = (k: number) => start + first + k;
  const kept = (operator: Operator): Operator => {
    for (const t of operator.held) t.keep();
    return operator;
  };
  const { operator, x, y } = engine.noGrad(() =>
    engine.scope(() => {
      const x = upload(engine, original, count, channels, side);
      const operator = kept(
        task.operator(
          engine,
          Array.from({ length: count }, (_, k) => mask(k)),
        ),
      );
      const y = measureNoisy(engine, operator, x, task, { seed, step: EVALUATION, first }).keep();
      return { operator, x: x.keep(), y };
    }),
  );
  const measurement = { values: await y.read(), shape: y.shape, isPicture: operator.isPicture };
  const single = (k: number, copies: number) =>
    engine.scope(() => kept(task.operator(engine, new Array<number>(copies).fill(mask(k)))));
  const close = async () => {
    for (const t of [x, y, ...operator.held]) t.dispose();
    await engine.device.trim();
  };
  return { count, first, original, shape, operator, x, y, measurement, labels, single, close };
}

/** The measures of each restored picture of a batch. */
export async function scoresOf(
  { original, shape, count, measurement, operator, x, labels }: OpenBatch,
  values: Float32Array,
  { lpips, classifier }: Measuring,
): Promise<Scores> {
  return {
    psnr: psnr(values, original, shape),
    ssim: ssim(values, original, shape),
    consistency: consistency(await applyTo(operator, values, x), measurement.values, count),
    ...(lpips ? { lpips: await perceptual(lpips, values, x) } : {}),
    ...(classifier && labels ? { top1: await hits(classifier, values, x, labels) } : {}),
  };
}

/** What Inception says of pictures of a batch, clamped as they are saved. */
export const inceptionScores = (
  { x }: Pick<OpenBatch, "x">,
  values: Float32Array,
  network: FeatureNetwork,
): Promise<InceptionOutputs> =>
  withPictures(values, x, async (pictures) => {
    const { features, logits } = await inceptionOf(network, pictures);
    // Networks on the GPU may make a number of what is none.
    for (const k of broken(values, x.dim(0)))
      for (const rows of [features, logits]) rowOf(rows, k, x.dim(0)).fill(NaN);
    return { features, logits };
  });

const rowOf = (values: Float32Array, k: number, count: number): Float32Array =>
  values.subarray((k * values.length) / count, ((k + 1) * values.length) / count);

/** The pictures of `count` that hold something that is no number. */
const broken = (values: Float32Array, count: number): number[] =>
  Array.from({ length: count }, (_, k) => k).filter((k) => rowOf(values, k, count).some(Number.isNaN));

/** Restores pictures first … first+count−1 of `data`. */
export async function restoreBatch(
  o: EvaluationOptions,
  data: ImageDataset,
  first: number,
  count: number,
): Promise<Restored> {
  const { engine, task } = o;
  const batch = await openBatch(o, data, first, count);
  const { operator, shape, y, original, measurement, labels } = batch;
  const pinv = engine.noGrad(() => engine.scope(() => affine(operator.pinv(y), 1, 0)));
  const methods = new Map<MethodName, Float32Array>([["pinv", await pinv.read()]]);
  pinv.dispose();
  if (task.scale !== null)
    methods.set("bicubic", bicubicUpsample(measurement.values, y.shape as unknown as ImageShape, task.scale));
  const evolution: Float32Array[] = [];
  const kept = new Set(spread(o.ts.length, o.evolutionSteps));
  const sample = async (predict: Predict, eta: number, k: number, keep: boolean): Promise<Float32Array> => {
    const draw = (purpose: number, step: number) =>
      randomNormal(engine, shape, { seed: o.seed, stream: streamOf(purpose, step * 64 + k), first });
    const result = await sampleDdim({
      engine,
      schedule: o.schedule,
      ts: o.ts,
      eta,
      predict,
      start: draw(streams.start, 0),
      noise: (step) => draw(streams.sample, step),
      onStep: async (i, { x0 }) => {
        if (keep && kept.has(i)) evolution.push(await x0.read());
        o.onStep?.();
      },
    });
    const values = await result.read();
    result.dispose();
    return values;
  };
  methods.set(
    "prior",
    await sample(projectedPredict(o.schedule, o.prior.labelled(labels), operator, y), 0, 0, false),
  );
  const samples: Float32Array[] = [];
  for (let k = 0; k < o.samples; k++)
    samples.push(await sample(o.fineTuning.predict(operator, y, o.useAverage, labels), o.eta, k, k === 0));
  methods.set("deft", samples[0] as Float32Array);
  methods.set("deft_mean4", meanOf(samples));
  const scores = new Map<MethodName, Scores>();
  for (const [name, values] of methods) scores.set(name, await scoresOf(batch, values, o));
  const inception = new Map<MethodName | "original", InceptionOutputs>();
  if (o.inception)
    for (const [name, values] of [["original", original] as const, ...methods])
      inception.set(name, await inceptionScores(batch, values, o.inception));
  await batch.close();
  return { count, original, measurement, methods, evolution, scores, inception };
}

/** A x̂ on the host. */
async function applyTo(operator: Operator, values: Float32Array, like: Tensor): Promise<Float32Array> {
  const { engine } = like;
  const y = engine.noGrad(() =>
    engine.scope(() => operator.apply(engine.tensor(Float32Array.from(values), like.shape))),
  );
  const out = await y.read();
  y.dispose();
  return out;
}

/** LPIPS of each restored picture against the original x. */
export function perceptual(lpips: Lpips, values: Float32Array, x: Tensor): Promise<Float32Array> {
  const { engine } = x;
  return withPictures(values, x, async (pictures) => {
    const d = engine.noGrad(() => engine.scope(() => lpips.distance(pictures, x)));
    const out = await d.read();
    d.dispose();
    for (const k of broken(values, out.length)) out[k] = NaN;
    return out;
  });
}

/** Throws a UserError where a picture's class is none of the classifier's. */
function checkKnown(
  { config }: EncoderUNet,
  labels: { readonly length: number; at(index: number): number | undefined },
): void {
  for (let i = 0; i < labels.length; i++)
    if ((labels.at(i) ?? 0) >= config.outChannels)
      throw new UserError(
        `exp.classes: a picture of class ${labels.at(i)}; expected 0 to ${config.outChannels - 1}, the classes of classifier.ckpt_path; name them by exp.classes=[NUMBERS], or leave the classifier out`,
      );
}

/** 1 for each picture whose class the classifier of noisy pictures names at t = 0, else 0. Throws a UserError for a class that it does not know. */
export function hits(
  classifier: EncoderUNet,
  values: Float32Array,
  like: Tensor,
  labels: readonly number[],
): Promise<number[]> {
  const { engine } = like;
  checkKnown(classifier, labels);
  return withPictures(values, like, async (pictures) => {
    const t = new Float32Array(labels.length);
    const logits = engine.noGrad(() => engine.scope(() => classifier.forward(pictures, t)));
    const [data, dim] = [await logits.read(), logits.dim(1)];
    logits.dispose();
    return labels.map((label, i) => topOne({ data: data.subarray(i * dim, (i + 1) * dim), dim }, [label]));
  });
}

/**
 * Pictures on the GPU in the shape of another tensor, clamped to [-1, 1] as they are saved, while `fn` runs. They are clamped here,
 * since what is no number may become one in WGSL's clamp.
 */
async function withPictures<T>(
  values: Float32Array,
  like: Tensor,
  fn: (pictures: Tensor) => Promise<T>,
): Promise<T> {
  const { engine } = like;
  const clamped = Float32Array.from(values, (v) => Math.min(1, Math.max(-1, v)));
  const pictures = engine.tensor(clamped, like.shape);
  try {
    return await fn(pictures);
  } finally {
    pictures.dispose();
  }
}

/** What a table is made of: for each method's name one number a picture, and what Inception says where it was asked. */
export interface ScoredBatch<N extends string> {
  readonly scores: ReadonlyMap<N, Scores>;
  readonly inception: ReadonlyMap<N | "original", InceptionOutputs>;
}

/** Means over all pictures of several batches, and the measures of the whole set. */
export function summarise<N extends string>(
  batches: readonly ScoredBatch<N>[],
): ReadonlyMap<N, Measures & Partial<SetMeasures>> {
  // A method that failed in a later batch has no row.
  const names = [...(batches[0]?.scores.keys() ?? [])].filter((n) => batches.every((b) => b.scores.has(n)));
  const outputs = (name: N | "original") => batches.flatMap((b) => b.inception.get(name) ?? []);
  return new Map(
    names.map((name) => {
      const scores = batches.map((b) => b.scores.get(name) as Scores);
      const all = (pick: (s: Scores) => ArrayLike<number>) =>
        average(scores.flatMap((s) => Array.from(pick(s))));
      return [
        name,
        {
          psnr: all((s) => s.psnr),
          ssim: all((s) => s.ssim),
          consistency: all((s) => s.consistency),
          ...(scores[0]?.lpips ? { lpips: all((s) => s.lpips ?? []) } : {}),
          ...(scores[0]?.top1 ? { top1: all((s) => s.top1 ?? []) } : {}),
          ...measureSet(outputs("original"), outputs(name)),
        },
      ];
    }),
  );
}
