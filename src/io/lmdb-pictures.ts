import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { compose, decodeBytes, squareRgba, toUnitRange, WHITE } from "./images.ts";
import { openLmdb, type LmdbReader } from "./lmdb.ts";
import { skippingDamaged } from "./skip-damaged.ts";

/** Sides that are looked for beside the one asked for. */
const SIDES = [64, 128, 256, 512, 1024];
const keyOf = (side: number, index: number): string => `${side}-${String(index).padStart(5, "0")}`;

export interface LmdbPicturesOptions {
  readonly side: number;
  readonly channels?: 1 | 3;
  /** Told of each damaged picture once. */
  readonly warn?: (message: string) => void;
}

/**
 * Pictures in an LMDB as FFHQ is passed round: encoded pictures (png, jpg, webp) under the keys `{side}-{index}`, the index
 * with five digits from 00000 on. Takes the stored side that was asked for, else the smallest larger one, else the largest, as
 * CHW in [-1, 1] of `side` (readPicture). Damaged pictures are named through `warn` and skipped. Throws UserError.
 */
export async function openLmdbPictures(root: string, options: LmdbPicturesOptions): Promise<ImageDataset> {
  const { side, channels = 3, warn } = options;
  const expected =
    "expected an LMDB (data.mdb, or a folder with it) of pictures under keys such as 256-00000";
  const failure = (error: unknown): UserError => {
    const { code, message } = error as NodeJS.ErrnoException;
    const fact = code === "ENOENT" ? "no data.mdb there" : message;
    return new UserError(`dataset.root: ${fact}; got ${root}; ${expected}`, { cause: error });
  };
  const { lmdb, stored, length } = open(root, side, failure);
  const read = async (index: number): Promise<Float32Array> => {
    const key = keyOf(stored, index);
    const pixels = await decodeBytes(() => lmdb.get(key) ?? new Uint8Array(), `${root}: ${key}`);
    return toUnitRange(compose(squareRgba(pixels, side), WHITE, channels));
  };
  return skippingDamaged({ name: "ffhq", root, length, channels, side, read, ...(warn ? { warn } : {}) });
}

/** The file, which of the sides that it holds serves best, and how many pictures it has of that. */
function open(root: string, side: number, failure: (error: unknown) => UserError) {
  let lmdb;
  try {
    lmdb = openLmdb(root);
    const sides = [side, ...SIDES.filter((s) => s > side), ...SIDES.filter((s) => s < side).reverse()];
    const stored = sides.find((candidate) => lmdb!.get(keyOf(candidate, 0)) !== undefined);
    if (stored === undefined) throw new Error(`holds ${lmdb.entries} keys, none of them a first picture`);
    return { lmdb, stored, length: lengthOf(lmdb, stored) };
  } catch (error) {
    lmdb?.close();
    throw failure(error);
  }
}

/** Number of keys of `side`, which follow each other without a gap: by doubling, then by halving. */
function lengthOf(lmdb: LmdbReader, side: number): number {
  const holds = (index: number): boolean => lmdb.get(keyOf(side, index)) !== undefined;
  let [low, high] = [0, 1];
  while (holds(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (holds(middle)) low = middle;
    else high = middle;
  }
  return high;
}
