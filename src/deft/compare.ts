// Several algorithms on the same measurements with the same draws: samples, their mean and spread, measures, costs.
import type { Algorithm, Learned, Problem, Step } from "./algorithms/algorithm.ts";
import { seededDraws } from "./algorithms/draws.ts";
import type { ImageDataset } from "./dataset.ts";
import { UserError } from "./errors.ts";
import {
  inceptionScores,
  openBatch,
  scoresOf,
  type Measuring,
  type OpenBatch,
  type Restored,
  type Scores,
} from "./evaluate.ts";
import { meanOf } from "./metrics.ts";
import type { FeatureNetwork, InceptionOutputs } from "./metrics/sets.ts";
import { problemOf, type Sampling } from "./problem.ts";
import type { Task } from "./task.ts";

/** An algorithm as it is compared. */
export interface Method {
  readonly algorithm: Algorithm;
  /** All of its options. */
  readonly options: object;
  /** Ascending timesteps. */
  readonly ts: readonly number[];
  /** A network of its own beside the prior: its calls so far, and the bytes of its weights. */
  readonly network?: { readonly calls: () => number; readonly bytes: number; readonly release: () => void };
  /** What learning took that was done before, of the one picture. */
  readonly learning?: Cost["learning"];
  /** Options in place of those for the run that only compiles. */
  readonly warmUp?: object;
}

/** What one method took. */
export interface Cost {
  /** Network calls behind one sample of a batch: of the prior, and of the method's own network. */
  readonly calls: { readonly prior: number; readonly own: number };
  /** Of one sample of one picture, the first run of each shape left out: it compiles. */
  readonly secondsPerImage: number;
  /** What learning of one picture's measurement took, once for all its samples, and is not in the figures above; absent: nothing is learned of it. */
  readonly learning?: Pick<Cost, "calls" | "secondsPerImage">;
  /** Largest GPU memory in the first batch: prior, own network, measurement and what sampling takes. */
  readonly peakBytes: number;
}

/** A row of the table: a method's first sample, or the mean of its samples. */
export type RowName = string;
export const meanRow = (method: string): RowName => `${method}_mean`;

/** A batch restored by every method: host arrays [n, C, H, W] in [-1, 1]. */
export interface ComparedBatch extends Pick<Restored, "count" | "original" | "measurement"> {
  readonly first: number;
  /** The pictures' classes; null where they have none. */
  readonly labels: readonly number[] | null;
  readonly pictures: ReadonlyMap<RowName, Float32Array>;
  /** All samples of each method. */
  readonly samples: ReadonlyMap<string, readonly Float32Array[]>;
  /** Standard deviation of the samples by pixel, by method; empty for one sample. */
  readonly deviations: ReadonlyMap<string, Float32Array>;
  readonly scores: ReadonlyMap<RowName, Scores>;
  readonly inception: ReadonlyMap<RowName, InceptionOutputs>;
}

export interface ComparisonOptions extends Sampling, Measuring {
  readonly task: Task;
  readonly seed: number;
  /** Samples of each method; one where it draws nothing. */
  readonly samples: number;
  readonly inception?: FeatureNetwork | null;
  /** A first brief run of every method, which compiles. Those that cannot do the task, then or later, are left out; false: such a one fails. */
  readonly warmUp: boolean;
  /** Sees each step of each sample. */
  readonly onStep?: (sample: number, step: Step) => Promise<void> | void;
  /** GPU memory of the networks that measure. */
  readonly metricBytes: number;
  /** A clock in seconds. */
  readonly now: () => number;
}

interface Effort {
  pictures: number;
  prior: number;
  own: number;
  seconds: number;
}

interface Tally extends Effort {
  samples: number;
  peak: number;
  readonly learning: Effort;
}

const none = (): Effort => ({ pictures: 0, prior: 0, own: 0, seconds: 0 });

/** Timesteps of a run that only compiles. */
const WARM_UP = 2;

export class Comparison {
  readonly #o: ComparisonOptions;
  readonly #methods: readonly Method[];
  readonly #tallies = new Map<string, Tally>();
  /** Batch sizes that were compiled for. */
  readonly #warm = new Set<number>();
  #foreignBytes = 0;
  /** Methods that cannot do the task, with the reason. */
  readonly leftOut = new Map<string, string>();

  constructor(o: ComparisonOptions, methods: readonly Method[]) {
    this.#o = o;
    this.#methods = methods;
  }

  /** The methods that can do the task, as far as batches have shown. */
  get methods(): readonly Method[] {
    return this.#methods.filter(({ algorithm }) => !this.leftOut.has(algorithm.name));
  }

  /** Samples of a picture that a method draws. */
  samplesOf({ algorithm }: Method): number {
    return algorithm.callsPerStep === 0 ? 1 : this.#o.samples;
  }

  get costs(): ReadonlyMap<string, Cost> {
    const before = new Map(this.#methods.map(({ algorithm, learning }) => [algorithm.name, learning]));
    const learningOf = (name: string, { learning }: Tally) =>
      learning.pictures > 0 ? perPicture(learning) : before.get(name);
    return new Map(
      [...this.#tallies].map(([name, t]) => [
        name,
        {
          calls: { prior: t.prior / t.samples, own: t.own / t.samples },
          secondsPerImage: t.seconds / t.pictures,
          ...defined({ learning: learningOf(name, t) }),
          peakBytes: t.peak,
        },
      ]),
    );
  }

  /** Measures pictures first … first+count−1 once and restores them with every method; `onSample` sees each sample that is done, `onLearn` each step of a method that learns. */
  async batch(
    data: ImageDataset,
    first: number,
    count: number,
    onSample: (done: number, total: number) => void = () => undefined,
    onLearn: (method: string, done: number, total: number) => void = () => undefined,
  ): Promise<ComparedBatch> {
    const { inception: network } = this.#o;
    const batch = await openBatch(this.#o, data, first, count);
    try {
      if (this.#o.warmUp && !this.#warm.has(count)) await this.#warmUp(batch);
      this.#release();
      const level = this.#o.engine.device.pool.stats.live;
      const pictures = new Map<RowName, Float32Array>();
      const drawn = new Map<string, readonly Float32Array[]>();
      const deviations = new Map<string, Float32Array>();
      const scores = new Map<RowName, Scores>();
      const inception = new Map<RowName, InceptionOutputs>();
      if (network) inception.set("original", await inceptionScores(batch, batch.original, network));
      const total = this.methods.reduce((sum, method) => sum + this.samplesOf(method), 0);
      let done = 0;
      onSample(done, total);
      for (const method of this.methods) {
        const { name } = method.algorithm;
        const samples = await this.#restore(batch, method, level, {
          onSample: () => onSample(++done, total),
          onLearn: (step, steps) => onLearn(name, step, steps),
        }).catch((error: unknown) => this.#leaveOut(name, error));
        if (!samples) continue;
        drawn.set(name, samples);
        const rows = new Map([[name, samples[0] as Float32Array]]);
        if (samples.length > 1) {
          const mean = meanOf(samples);
          rows.set(meanRow(name), mean);
          deviations.set(name, deviationOf(samples, mean));
        }
        for (const [row, values] of rows) {
          pictures.set(row, values);
          scores.set(row, await scoresOf(batch, values, this.#o));
          if (network) inception.set(row, await inceptionScores(batch, values, network));
        }
      }
      const { original, measurement } = batch;
      return {
        ...{ count, first, original, measurement, labels: batch.labels },
        ...{ pictures, samples: drawn, deviations, scores, inception },
      };
    } finally {
      await batch.close();
    }
  }

  /** Compiles for a size of batch, and finds the methods that cannot do the task. Those with a network of their own come last. */
  async #warmUp(batch: OpenBatch): Promise<void> {
    const { stats } = this.#o.engine.device.pool;
    const isFirst = this.#warm.size === 0;
    for (const method of [...this.methods].sort((a, b) => Number(!!a.network) - Number(!!b.network))) {
      const before = stats.live;
      try {
        const options = { ...method.options, ...method.warmUp };
        const problem = this.#problem(batch, { ...method, ts: method.ts.slice(-WARM_UP) }, 0);
        (await method.algorithm.sample(problem, options)).dispose();
      } catch (error) {
        this.#leaveOut(method.algorithm.name, error);
        continue;
      }
      this.#release();
      // Weights of its own in the forms that kernels keep of them are nothing that other methods need.
      if (isFirst && method.network) this.#foreignBytes += method.network.bytes + stats.live - before;
    }
    this.#warm.add(batch.count);
  }

  /** Goes on without a method that cannot do the task; any other error is thrown again. */
  #leaveOut(name: string, error: unknown): void {
    if (!(error instanceof UserError) || !this.#o.warmUp) throw error;
    this.#o.engine.dropTape();
    this.#tallies.delete(name);
    this.leftOut.set(name, error.message.replace(`${name}: `, ""));
  }

  #problem(batch: OpenBatch, { ts }: Method, sample: number): Problem {
    const { engine, seed } = this.#o;
    const draws = seededDraws(engine, { seed, sample, first: batch.first });
    return { ...problemOf(this.#o, batch), ts, draws };
  }

  /** Frees what networks keep to run again faster: each method's memory is its own. */
  #release(): void {
    this.#o.prior.release();
    for (const { network } of this.methods) network?.release();
  }

  /** The samples of a method; `level`: memory in use when nothing but it was there to run. */
  async #restore(
    batch: OpenBatch,
    method: Method,
    level: number,
    on: { readonly onSample: () => void; readonly onLearn: (done: number, total: number) => void },
  ): Promise<Float32Array[]> {
    const { engine, prior, now, metricBytes, onStep } = this.#o;
    const { algorithm, options } = method;
    const { pool, queue } = engine.device;
    const { name } = algorithm;
    const isFirst = !this.#tallies.has(name);
    const tally = this.#tallies.get(name) ?? { ...none(), samples: 0, peak: 0, learning: none() };
    this.#tallies.set(name, tally);
    const own = () => method.network?.calls() ?? 0;
    /** Runs `fn` and adds what it took. */
    const counted = async <T>(effort: Effort, fn: () => Promise<T>): Promise<T> => {
      await queue.idle();
      const before = { prior: prior.calls, own: own(), seconds: now() };
      const result = await fn();
      await queue.idle();
      effort.seconds += now() - before.seconds;
      effort.prior += prior.calls - before.prior;
      effort.own += own() - before.own;
      effort.pictures += batch.count;
      return result;
    };
    this.#release();
    // Measuring the methods before may have left something behind.
    const others = pool.stats.live - level + metricBytes + (method.network ? 0 : this.#foreignBytes);
    pool.resetPeak();
    const problem = { ...this.#problem(batch, method, 0), onLearn: on.onLearn };
    const learned: Learned | undefined =
      algorithm.learn && (await counted(tally.learning, async () => algorithm.learn?.(problem, options)));
    const samples: Float32Array[] = [];
    try {
      for (let k = 0; k < this.samplesOf(method); k++) {
        const watched = onStep && { onStep: (_: number, step: Step) => onStep(k, step) };
        const own = { ...this.#problem(batch, method, k), ...watched };
        const result = await counted(tally, () => learned?.sample(own) ?? algorithm.sample(own, options));
        samples.push(await result.read());
        result.dispose();
        on.onSample();
      }
    } finally {
      learned?.dispose();
    }
    tally.samples += samples.length;
    if (isFirst) tally.peak = pool.stats.peak - others;
    return samples;
  }
}

const defined = <T>({ learning }: { readonly learning: T | undefined }): { readonly learning?: T } =>
  learning === undefined ? {} : { learning };

const perPicture = ({ prior, own, seconds, pictures }: Effort): Pick<Cost, "calls" | "secondsPerImage"> => ({
  calls: { prior: prior / pictures, own: own / pictures },
  secondsPerImage: seconds / pictures,
});

/** √(Σ (x_k − mean)²/(k−1)) of k samples, pixel by pixel. */
function deviationOf(samples: readonly Float32Array[], mean: Float32Array): Float32Array {
  return mean.map((m, i) => {
    let sum = 0;
    for (const sample of samples) sum += ((sample[i] as number) - m) ** 2;
    return Math.sqrt(sum / (samples.length - 1));
  });
}
