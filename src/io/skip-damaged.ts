import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { standIns } from "./image-folder.ts";
import { PictureError } from "./images.ts";

/** Up to this many pictures all are read when the set is opened, so that damaged ones drop out. */
const CHECKED_AT_OPEN = 1000;

export interface ReadablePictures {
  readonly name: string;
  /** What messages call the set. */
  readonly root: string;
  readonly length: number;
  readonly channels: 1 | 3;
  readonly side: number;
  /** Picture `index` as CHW in [-1, 1]; throws PictureError where it is damaged. */
  readonly read: (index: number) => Promise<Float32Array>;
  /** Told of each damaged picture once. */
  readonly warn?: (message: string) => void;
}

/**
 * A data set over pictures that may be damaged: they are named through `warn` and skipped, in a set of under 1,000 when it is
 * opened, in a larger one by the picture 100 further on (the same side of the split). Throws UserError where none is left.
 */
export async function skippingDamaged(source: ReadablePictures): Promise<ImageDataset> {
  const { name, root, channels, side, warn = (message) => process.stderr.write(`${message}\n`) } = source;
  const damaged = new Set<number>();
  const read = async (index: number): Promise<Float32Array | undefined> => {
    if (damaged.has(index)) return undefined;
    try {
      return await source.read(index);
    } catch (error) {
      if (!(error instanceof PictureError)) throw error;
      damaged.add(index);
      warn(`${error.message}; skipped`);
      return undefined;
    }
  };
  let indices = Array.from({ length: source.length }, (_, i) => i);
  if (source.length < CHECKED_AT_OPEN) {
    for (const index of indices) await read(index);
    indices = indices.filter((index) => !damaged.has(index));
  }
  if (indices.length === 0) throw new UserError(`dataset.root: none of the pictures in ${root} can be read`);
  const get = async (index: number): Promise<Float32Array> => {
    if (indices[index] === undefined)
      throw new RangeError(`${root}: no picture ${index}; expected 0 to ${indices.length - 1}`);
    for (const candidate of standIns(index, indices.length)) {
      const picture = await read(indices[candidate]!);
      if (picture) return picture;
    }
    throw new UserError(`dataset.root: every 100th picture in ${root} from ${index} on is damaged`);
  };
  return { name, length: indices.length, channels, side, get };
}
