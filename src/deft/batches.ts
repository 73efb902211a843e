// Which pictures a training step sees: a function of (seed, step) alone, so that a resumed run sees the same.
import { Philox, type Engine, type Tensor } from "../tensor/index.ts";
import type { ImageDataset } from "./dataset.ts";

/** Streams of random numbers of one seed; a step's draws are numbered within each. */
export const streams = {
  order: 1,
  timestep: 2,
  noise: 3,
  measurement: 4,
  flip: 5,
  mask: 6,
  sample: 7,
  start: 8,
  dropout: 9,
} as const;

/** Number of an independent stream for purpose and step (or epoch). */
export const streamOf = (purpose: number, step: number): number => (step * 16 + purpose) >>> 0;

/** Order of an epoch's pictures: a permutation of 0 … n−1 by (seed, epoch), or the natural order. */
export function epochOrder(n: number, seed: number, epoch: number, shuffle: boolean): Uint32Array {
  if (!shuffle) return Uint32Array.from({ length: n }, (_, i) => i);
  return new Philox(seed, streamOf(streams.order, epoch)).permutation(n);
}

export interface BatchOptions {
  readonly batchSize: number;
  readonly seed: number;
  readonly shuffle: boolean;
  /** Leave out an epoch's last, smaller batch; a set smaller than a batch gives one batch of what there is. */
  readonly dropLast: boolean;
  /** Mirror pictures at random. */
  readonly flip: boolean;
}

/** The pictures of a training step. */
export interface Batch {
  /** [n, C, H, W] in [-1, 1]. */
  readonly values: Float32Array<ArrayBuffer>;
  readonly count: number;
  readonly epoch: number;
  /** The pictures' classes; null where they have none. */
  readonly labels: readonly number[] | null;
}

export class Batches {
  readonly #data: ImageDataset;
  readonly #options: BatchOptions;
  readonly #pictures: number;
  readonly stepsPerEpoch: number;
  #epoch = -1;
  #order: Uint32Array = new Uint32Array();

  constructor(data: ImageDataset, options: BatchOptions) {
    this.#data = data;
    this.#options = options;
    this.#pictures = data.length / (data.versions ?? 1);
    const whole = this.#pictures / options.batchSize;
    this.stepsPerEpoch = Math.max(1, options.dropLast ? Math.floor(whole) : Math.ceil(whole));
  }

  /** Pictures of step `step`, from 0. */
  async get(step: number): Promise<Batch> {
    const { batchSize, seed, shuffle, flip } = this.#options;
    const epoch = Math.floor(step / this.stepsPerEpoch);
    if (epoch !== this.#epoch) {
      this.#order = epochOrder(this.#pictures, seed, epoch, shuffle);
      this.#epoch = epoch;
    }
    const first = (step % this.stepsPerEpoch) * batchSize;
    const indices = this.#order.subarray(first, Math.min(first + batchSize, this.#pictures));
    const version = epoch % (this.#data.versions ?? 1);
    const { channels, side } = this.#data;
    const size = channels * side * side;
    const values = new Float32Array(indices.length * size);
    const random = new Philox(seed, streamOf(streams.flip, step));
    const places = Array.from(indices, (i) => i + version * this.#pictures);
    const pictures = await Promise.all(places.map((i) => this.#data.get(i)));
    pictures.forEach((picture, k) =>
      values.set(flip && random.uniform() < 0.5 ? mirrored(picture, side) : picture, k * size),
    );
    const { label } = this.#data;
    return { values, count: indices.length, epoch, labels: label ? places.map((i) => label(i)) : null };
  }
}

/** Left and right exchanged, CHW. */
function mirrored(picture: Float32Array, side: number): Float32Array {
  const out = new Float32Array(picture.length);
  for (let row = 0; row < picture.length; row += side)
    for (let x = 0; x < side; x++) out[row + x] = picture[row + side - 1 - x] as number;
  return out;
}

/**
 * Timesteps of a batch, each uniform in 0 … T−1: one from every n-th part of the range, in random order, which lowers the
 * variance of the loss (the low-discrepancy sampler of Kingma et al. 2021, appendix I.1).
 */
export function drawTimesteps(n: number, numTimesteps: number, seed: number, step: number): Float32Array {
  return drawStratified(n, seed, step, (u) => Math.floor(u * numTimesteps));
}

/** The same with another density than the uniform one: `cumulative[t]` is the probability of 0 … t, rising to 1. */
export function drawTimestepsFrom(
  n: number,
  cumulative: Float64Array,
  seed: number,
  step: number,
): Float32Array {
  const last = cumulative.length - 1;
  return drawStratified(n, seed, step, (u) => {
    const t = cumulative.findIndex((c) => u < c);
    return t < 0 ? last : t;
  });
}

/** quantile(u) for one u of every n-th part of [0, 1), in random order. */
function drawStratified(
  n: number,
  seed: number,
  step: number,
  quantile: (u: number) => number,
): Float32Array {
  const random = new Philox(seed, streamOf(streams.timestep, step));
  const start = random.uniform();
  const parts = random.permutation(n);
  return Float32Array.from(parts, (part) => quantile(((part + start) / n) % 1));
}

/** Pictures as a tensor. */
export function upload(
  engine: Engine,
  values: Float32Array<ArrayBuffer>,
  count: number,
  channels: number,
  side: number,
): Tensor {
  return engine.tensor(values, [count, channels, side, side], "pictures");
}
