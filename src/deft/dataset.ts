/** Pictures of one size, by index. Pure: the same index gives the same picture each time. */
export interface ImageDataset {
  readonly name: string;
  readonly length: number;
  readonly channels: 1 | 3;
  readonly side: number;
  /** Index i + v·length/versions is picture i in version v (another background): what training varies by epoch. Default 1. */
  readonly versions?: number;
  /** The picture at 0 <= index < length as CHW in [-1, 1]. */
  get(index: number): Promise<Float32Array>;
  /** The class of a picture; absent: the pictures have none. */
  readonly label?: (index: number) => number;
}

/** The same pictures with the classes `classes`, in turn; null: with their own. */
export function withClasses(data: ImageDataset, classes: readonly number[] | null): ImageDataset {
  if (!classes?.length) return data;
  return { ...data, label: (index) => classes[index % classes.length] as number };
}

export interface FinetuningSplit {
  readonly train: number[];
  readonly validation: number[];
}

/** Below this many pictures a set is not thinned: all but the validation pictures train. */
const SMALL = 1000;

/**
 * Indices for fine-tuning and validation out of n pictures, disjoint when n > 1 (spec, section 8). Large sets such as ImageNet and FFHQ
 * are thinned: fine-tuning 0, 10, 20, ...; validation 1, 101, 201, ... Of under 1,000 pictures, or where not `isThinned`, 0, 10, 20,
 * ... validate, the rest trains. A single picture serves both.
 */
export function splitFinetuning(n: number, isThinned = true): FinetuningSplit {
  const all = Array.from({ length: n }, (_, i) => i);
  if (n < 2) return { train: all, validation: all };
  if (n < SMALL || !isThinned) {
    return { train: all.filter((i) => i % 10 !== 0), validation: all.filter((i) => i % 10 === 0) };
  }
  return { train: all.filter((i) => i % 10 === 0), validation: all.filter((i) => i % 100 === 1) };
}

/** The pictures of `dataset` at `indices`, in that order. */
export function subset(dataset: ImageDataset, indices: readonly number[]): ImageDataset {
  const { label } = dataset;
  return {
    name: dataset.name,
    length: indices.length,
    channels: dataset.channels,
    side: dataset.side,
    get: (index) => dataset.get(indexIn(indices, index, dataset.name)),
    ...(label && { label: (index) => label(indexIn(indices, index, dataset.name)) }),
  };
}

/** items[index], or a RangeError that names the data set. */
export function indexIn<T>(items: readonly T[], index: number, name: string): T {
  const item = items[index];
  if (item === undefined)
    throw new RangeError(`${name}: no picture ${index}; expected 0 to ${items.length - 1}`);
  return item;
}
