import { readFile, stat } from "node:fs/promises";
import path from "node:path";
import { unzipSync } from "fflate";
import { UserError } from "../deft/errors.ts";
import type { MaskSource } from "../deft/masks.ts";
import { listPictures } from "./image-folder.ts";
import { decode, PictureError } from "./images.ts";
import { parseNpy } from "./npy.ts";

const OPTION = "likelihood.forward_op.mask_filename";

/** The array that in-painting on ImageNet uses. */
export const DEFAULT_MASK_KEY = "20-30% freeform";

/** Flat packed arrays do not tell their side. */
const PACKED_SIDE = 256;

const MAX_ARRAY_BYTES = 2 ** 30;

/**
 * Masks from a picture (white = kept), a folder of pictures, or an `.npz` (1 = missing), of this size or of a whole multiple
 * of it, of which every so many pixels is taken; index i is mask i modulo their number, 1 = kept. In an `.npz` the array `key` holds
 * bits packed in NumPy's order, flat for side 256 or [n, S, S/8], or one byte a pixel as [n, S, S]. Throws
 * UserError.
 */
export async function openMasks(
  file: string,
  { height: rows, width: columns, key = DEFAULT_MASK_KEY }: { height: number; width: number; key?: string },
): Promise<MaskSource> {
  const { count, names, at } = await readMasks(file, key);
  for (let index = 0; index < (names ? count : 1); index++) {
    const { width, height } = at(index);
    if (height % rows === 0 && width * rows === height * columns) continue;
    const which = names ? path.join(file, names[index] as string) : file;
    throw new UserError(
      `${OPTION}: ${which}: a mask of ${width}x${height}; expected ${columns}x${rows}, or a whole multiple of both sides`,
    );
  }
  return {
    ...{ name: path.basename(file), height: rows, width: columns, count },
    mask: (index) => {
      const { width, height, kept } = at(index % count);
      const out = new Float32Array(rows * columns);
      for (let y = 0; y < rows; y++) {
        const row = Math.floor(((y + 0.5) * height) / rows) * width;
        for (let x = 0; x < columns; x++)
          out[y * columns + x] = kept(row + Math.floor(((x + 0.5) * width) / columns)) ? 1 : 0;
      }
      return out;
    },
  };
}

/** A mask in its own size. */
export interface StoredMask {
  readonly width: number;
  readonly height: number;
  readonly kept: (pixel: number) => boolean;
}

export interface StoredMasks {
  readonly count: number;
  /** Paths inside the folder where each mask is a picture of it, else null. */
  readonly names: readonly string[] | null;
  at(index: number): StoredMask;
}

/** The masks of a file or folder as they are; of a folder those whose names `wanted` takes. Throws a UserError, also for one that keeps no pixel. */
export async function readMasks(
  file: string,
  key: string = DEFAULT_MASK_KEY,
  wanted: (name: string) => boolean = () => true,
): Promise<StoredMasks> {
  const info = await stat(file).catch(() => undefined);
  if (!info)
    throw new UserError(`${OPTION}: no such file; got ${file}; pass an .npz, a picture or a folder of them`);
  if (file.toLowerCase().endsWith(".npz") && info.isFile()) return readNpz(file, key);
  const names = info.isDirectory() ? (await listPictures(file, OPTION)).filter(wanted) : null;
  const masks: StoredMask[] = [];
  for (const name of names?.map((inner) => path.join(file, inner)) ?? [file])
    masks.push(await readMask(name));
  return { count: masks.length, names, at: (index) => masks[index]! };
}

/** By so much may the channels of a grey picture differ after lossy compression. */
const MOST_COLOUR = 16;

/** A picture as a mask; transparent pixels are black. Throws UserError. */
async function readMask(file: string): Promise<StoredMask> {
  const { width, height, channels, data } = await decode(file).catch((error: unknown) => {
    throw error instanceof PictureError
      ? new UserError(`${OPTION}: ${error.message}; pass a picture, a folder of them or an .npz`, {
          cause: error,
        })
      : error;
  });
  // A folder may hold thousands: a bit a pixel is kept.
  const bits = new Uint8Array(Math.ceil((width * height) / 8));
  for (let pixel = 0; pixel < width * height; pixel++) {
    const at = pixel * channels;
    const [r, g, b] = [data[at]!, data[at + 1]!, data[at + 2]!];
    if (Math.max(r, g, b) - Math.min(r, g, b) > MOST_COLOUR)
      throw new UserError(
        `${OPTION}: ${file}: a picture in colour; expected a grey one, white where pixels are kept, black where they are missing`,
      );
    if (g > 127) bits[pixel >> 3]! |= 1 << (pixel & 7);
  }
  if (bits.every((byte) => byte === 0))
    throw new UserError(`${OPTION}: ${file}: keeps no pixel; expected white where pixels are kept`);
  return { width, height, kept: (pixel) => (bits[pixel >> 3]! & (1 << (pixel & 7))) !== 0 };
}

async function readNpz(file: string, key: string): Promise<StoredMasks> {
  const wrong = (fact: string, cause?: unknown): UserError =>
    new UserError(`${OPTION}: ${file}: ${fact}`, { cause });
  const bytes = await readFile(file);
  const keys: string[] = [];
  let entry: Uint8Array | undefined;
  try {
    const chosen = unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        keys.push(name.replace(/\.npy$/, ""));
        return name === `${key}.npy` && originalSize <= MAX_ARRAY_BYTES;
      },
    });
    entry = chosen[`${key}.npy`];
  } catch (error) {
    throw wrong("not a zip archive of NumPy arrays that can be read", error);
  }
  if (!entry && keys.includes(key)) throw wrong(`"${key}" is larger than ${MAX_ARRAY_BYTES} bytes`);
  if (!entry) throw wrong(`no array "${key}"; got ${keys.join(", ") || "none"}`);
  let array;
  try {
    array = parseNpy(entry);
  } catch (error) {
    throw wrong(`"${key}" cannot be read: ${String(error)}`, error);
  }
  const { descr, fortranOrder, shape, bytes: data } = array;
  const layout = maskLayout(shape);
  const fits =
    layout &&
    ["|u1", "|b1"].includes(descr) &&
    !fortranOrder &&
    layout.count * layout.bytesEach === data.length;
  if (!fits) {
    throw wrong(
      `"${key}" has shape [${shape.join(", ")}], type ${descr} and ${data.length} bytes; expected bytes of shape ` +
        `[n*${PACKED_SIDE ** 2 / 8}] or [n, S, S/8] with packed bits, or [n, S, S]`,
    );
  }
  const { side, packed, count, bytesEach } = layout;
  const isMissing = packed ? (byte: number) => byte === 0xff : (byte: number) => byte !== 0;
  for (let index = 0; index < count; index++)
    if (data.subarray(index * bytesEach, (index + 1) * bytesEach).every(isMissing))
      throw wrong(`mask ${index} of "${key}" keeps no pixel; expected 0 where pixels are kept`);
  const at = (index: number): StoredMask => {
    const start = index * bytesEach;
    const missing = (pixel: number): number =>
      packed ? data[start + (pixel >> 3)]! & (0x80 >> (pixel & 7)) : data[start + pixel]!;
    return { width: side, height: side, kept: (pixel) => missing(pixel) === 0 };
  };
  return { count, names: null, at };
}

interface MaskLayout {
  readonly count: number;
  readonly side: number;
  readonly packed: boolean;
  readonly bytesEach: number;
}

function maskLayout(shape: readonly number[]): MaskLayout | undefined {
  const [first = 0, rows = 0, columns = 0] = shape;
  if (shape.length === 1 && first > 0 && first % (PACKED_SIDE ** 2 / 8) === 0) {
    const bytesEach = PACKED_SIDE ** 2 / 8;
    return { count: first / bytesEach, side: PACKED_SIDE, packed: true, bytesEach };
  }
  if (shape.length !== 3 || first < 1 || rows < 1) return undefined;
  const packed = columns * 8 === rows;
  if (!packed && columns !== rows) return undefined;
  return { count: first, side: rows, packed, bytesEach: rows * columns };
}
