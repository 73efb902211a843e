// Restoring held-out pictures with every method of the table, and measuring them.
import { randomNormal, type Engine, type Tensor } from "../tensor/index.ts";
import { streamOf, streams, upload } from "./batches.ts";
import { bicubicUpsample } from "./bicubic.ts";
import type { ImageDataset } from "./dataset.ts";
import { measureNoisy, type FineTuning } from "./finetune.ts";
import { average, consistency, meanOf, psnr, type ImageShape } from "./metrics.ts";
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
}

export interface EvaluationOptions {
  readonly engine: Engine;
  readonly schedule: Schedule;
  readonly prior: Prior;
  readonly task: Task;
  readonly fineTuning: FineTuning;
  readonly useAverage: boolean;
  readonly eta: number;
  /** Ascending timesteps of the sampler. */
  readonly ts: readonly number[];
  readonly seed: number;
  /** Samples behind the mean; the first of them is the method "deft". */
  readonly samples: number;
  /** Sees each sampling step that is done, for a progress bar. */
  readonly onStep?: () => void;
  /** Keeps x̂0 of every step of the first sample. */
  readonly keepEvolution: boolean;
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
  /** x̂0 of each step of the first sample, from noise to picture. */
  readonly evolution: readonly Float32Array[];
  /** One number a picture. */
  readonly scores: ReadonlyMap<
    MethodName,
    { psnr: ArrayLike<number>; ssim: ArrayLike<number>; consistency: ArrayLike<number> }
  >;
}

/** The measurement noise of the evaluation has a step number of its own, which training does not reach. */
const EVALUATION = 0xfff0000;

/** Number of sampling steps that `restoreBatch` reports. */
export const evaluationSteps = (o: Pick<EvaluationOptions, "samples" | "ts">): number =>
  (o.samples + 1) * o.ts.length;

/** Restores pictures first … first+count−1 of `data`; noise and masks follow from the pictures' numbers, not from the batch. */
export async function restoreBatch(
  o: EvaluationOptions,
  data: ImageDataset,
  first: number,
  count: number,
): Promise<Restored> {
  const { engine, task } = o;
  const { channels, side } = data;
  const shape: ImageShape = [count, channels, side, side];
  const original = new Float32Array(count * channels * side * side);
  const size = original.length / count;
  for (let i = 0; i < count; i++) original.set(await data.get(first + i), i * size);
  const { operator, x, y, pinv } = engine.noGrad(() =>
    engine.scope(() => {
      const x = upload(engine, original, count, channels, side);
      // Masks of the evaluation come from the far end of the numbering, which training does not reach.
      const operator = task.operator(
        engine,
        Array.from({ length: count }, (_, k) => 0x7fff0000 + first + k),
      );
      const y = measureNoisy(engine, operator, x, task, { seed: o.seed, step: EVALUATION, first }).keep();
      for (const t of operator.held) t.keep();
      return { operator, x: x.keep(), y, pinv: operator.pinv(y) };
    }),
  );
  const methods = new Map<MethodName, Float32Array>([["pinv", await pinv.read()]]);
  const measurement = { values: await y.read(), shape: y.shape, isPicture: operator.isPicture };
  if (task.scale !== null)
    methods.set("bicubic", bicubicUpsample(measurement.values, y.shape as unknown as ImageShape, task.scale));
  const evolution: Float32Array[] = [];
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
      onStep: async (_, { x0 }) => {
        if (keep) evolution.push(await x0.read());
        o.onStep?.();
      },
    });
    const values = await result.read();
    result.dispose();
    return values;
  };
  methods.set("prior", await sample(projectedPredict(o.schedule, o.prior.denoise, operator, y), 0, 0, false));
  const samples: Float32Array[] = [];
  for (let k = 0; k < o.samples; k++)
    samples.push(
      await sample(o.fineTuning.predict(operator, y, o.useAverage), o.eta, k, k === 0 && o.keepEvolution),
    );
  methods.set("deft", samples[0] as Float32Array);
  methods.set("deft_mean4", meanOf(samples));
  const scores: Restored["scores"] = new Map(
    await Promise.all(
      [...methods].map(async ([name, values]) => {
        const reached = await applyTo(operator, values, x);
        const measures = {
          psnr: psnr(values, original, shape),
          ssim: ssim(values, original, shape),
          consistency: consistency(reached, measurement.values, count),
        };
        return [name, measures] as const;
      }),
    ),
  );
  for (const t of [x, y, pinv, ...operator.held]) t.dispose();
  await engine.device.trim();
  return { count, original, measurement, methods, evolution, scores };
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

/** Means over all pictures of several batches. */
export function summarise(batches: readonly Restored[]): Map<MethodName, Measures> {
  const names = [...(batches[0]?.scores.keys() ?? [])];
  return new Map(
    names.map((name) => {
      const all = (
        pick: (s: {
          psnr: ArrayLike<number>;
          ssim: ArrayLike<number>;
          consistency: ArrayLike<number>;
        }) => ArrayLike<number>,
      ) => average(batches.flatMap((b) => Array.from(pick(b.scores.get(name) as never))));
      return [
        name,
        { psnr: all((s) => s.psnr), ssim: all((s) => s.ssim), consistency: all((s) => s.consistency) },
      ];
    }),
  );
}
