import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { compose, PictureError, readRgba, toUnitRange, WHITE, type Rgb } from "./images.ts";
import { forEachParallel } from "./parallel.ts";

const FORMATS = /\.(png|jpe?g|webp|bmp|gif|tiff?|avif)$/i;

/** Up to this many pictures all are decoded when the folder is opened, so that damaged ones drop out. */
const CHECKED_AT_OPEN = 1000;

/** Both splits of a large folder are unions of classes modulo this (dataset.ts). */
const SPLIT_PERIOD = 100;

export interface ImageFolderOptions {
  readonly side: number;
  readonly channels?: 1 | 3;
  /** What lies under transparent pixels. */
  readonly background?: Rgb;
  /** A text file with one picture a line, relative to the folder; a class number may follow. */
  readonly subsetTxt?: string | null;
  /** Told of each damaged picture once. */
  readonly warn?: (message: string) => void;
  /** Told how many of the pictures have been looked at while the folder is opened. */
  readonly progress?: (done: number, total: number) => void;
  /** Folders inside whose pictures are none of the set, such as those of results. */
  readonly except?: readonly string[];
  /** Pictures decoded at the same time while the folder is opened; default 2. */
  readonly workers?: number;
  /** Decoded pictures kept in memory, in bytes. */
  readonly cacheBytes?: number;
}

/**
 * A folder of pictures, searched with its sub-folders and sorted by path, as CHW in [-1, 1] (readPicture).
 * Damaged pictures are named through `warn` and skipped: a folder of under 1,000 is decoded when opened and
 * holds the readable ones only; in a larger one the picture 100 further on stands in, which is on the same
 * side of the split. Throws UserError where the folder or the list is missing or holds nothing.
 */
export async function openImageFolder(root: string, options: ImageFolderOptions): Promise<ImageDataset> {
  const { side, channels = 3, background = WHITE, subsetTxt, progress, workers = 2 } = options;
  const { cacheBytes = 512 * 2 ** 20, warn = (message) => process.stderr.write(`${message}\n`) } = options;
  const within = (options.except ?? []).map((folder) =>
    path.relative(root, folder).split(path.sep).join("/"),
  );
  const foreign = within.filter(
    (folder) => folder !== "" && !folder.startsWith("..") && !path.isAbsolute(folder),
  );
  const found = (await listPictures(root, "dataset.root")).filter(
    (file) => !foreign.some((folder) => file.startsWith(`${folder}/`)),
  );
  const { files: listed, classes } = subsetTxt
    ? await choose(found, subsetTxt, root)
    : { files: found, classes: classesOf(found) };
  const cache = new Map<string, Uint8Array>();
  const damaged = new Set<string>();
  const capacity = Math.floor(cacheBytes / (channels * side * side));

  /** The picture's bytes, or undefined where it is damaged. */
  const read = async (file: string): Promise<Uint8Array | undefined> => {
    const known = cache.get(file);
    if (known || damaged.has(file)) return known;
    try {
      const bytes = compose(await readRgba(path.join(root, file), side), background, channels);
      if (cache.size < capacity) cache.set(file, bytes);
      return bytes;
    } catch (error) {
      if (!(error instanceof PictureError)) throw error;
      if (!damaged.has(file)) warn(`${error.message}; skipped`);
      damaged.add(file);
      return undefined;
    }
  };

  let files = listed;
  if (listed.length < CHECKED_AT_OPEN) {
    let done = 0;
    await forEachParallel(listed, workers, async (file) => {
      await read(file);
      progress?.(++done, listed.length);
    });
    files = listed.filter((file) => !damaged.has(file));
  }
  if (files.length === 0) throw new UserError(`dataset.root: none of the pictures in ${root} can be read`);

  const get = async (index: number): Promise<Float32Array> => {
    if (files[index] === undefined) throw new RangeError(`${root}: no picture ${index} of ${files.length}`);
    for (const candidate of standIns(index, files.length)) {
      const bytes = await read(files[candidate]!);
      if (bytes) return toUnitRange(bytes);
    }
    throw new UserError(
      `dataset.root: every ${SPLIT_PERIOD}th picture in ${root} from ${index} on is damaged`,
    );
  };
  const name = path.basename(path.resolve(root));
  const label = (index: number) => classes?.get(files[index] ?? "") ?? NaN;
  return { name, length: files.length, channels, side, get, ...(classes && { label }) };
}

/** The class of each picture: the place of its top folder among all, in order of name; null where a picture lies in none. */
export function classesOf(files: readonly string[]): ReadonlyMap<string, number> | null {
  const folderOf = (file: string) => (file.includes("/") ? (file.split("/")[0] as string) : "");
  const folders = [...new Set(files.map(folderOf))].sort();
  if (folders.includes("")) return null;
  return new Map(files.map((file) => [file, folders.indexOf(folderOf(file))]));
}

/** The index itself, then those of its class modulo SPLIT_PERIOD in order, wrapping round. */
export function* standIns(index: number, length: number): Generator<number> {
  for (let i = index; i < length; i += SPLIT_PERIOD) yield i;
  for (let i = index % SPLIT_PERIOD; i < index; i += SPLIT_PERIOD) yield i;
}

/**
 * Paths of the pictures under `root`, relative to it, in order of their UTF-16 units. Throws UserError, which
 * names `option` and how to pass it, where there are none.
 */
export async function listPictures(
  root: string,
  option: string,
  pass = `${option}=FOLDER`,
): Promise<string[]> {
  const advice = `pass ${pass} with png, jpg, webp, bmp, gif, tiff or avif files`;
  if (root === "") throw new UserError(`${option}: no folder given; ${advice}`);
  let entries;
  try {
    entries = await readdir(root, { recursive: true, withFileTypes: true });
  } catch (error) {
    const { code, path: inner = root } = error as NodeJS.ErrnoException;
    const fact =
      code === "ENOENT" ? "no such folder" : code === "ENOTDIR" ? "not a folder" : `cannot be read (${code})`;
    const remedy = path.resolve(inner) === path.resolve(root) ? advice : "make it readable, or move it away";
    throw new UserError(`${option}: ${fact}; got ${inner}; ${remedy}`, { cause: error });
  }
  const files = entries
    .filter((entry) => !entry.isDirectory() && FORMATS.test(entry.name) && !entry.name.startsWith("."))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).replaceAll(path.sep, "/"))
    .sort();
  if (files.length === 0) throw new UserError(`${option}: no pictures in ${root}; ${advice}`);
  return files;
}

interface Chosen {
  readonly files: string[];
  /** The numbers that stand after the names, where all have one, else those of the folders. */
  readonly classes: ReadonlyMap<string, number> | null;
}

/** The pictures that a list names, in its order, by path or by a file name that occurs once. */
async function choose(files: readonly string[], subsetTxt: string, root: string): Promise<Chosen> {
  let text: string;
  try {
    text = await readFile(subsetTxt, "utf8");
  } catch (error) {
    const fact = `dataset.subset_txt: cannot be read; got ${subsetTxt}`;
    throw new UserError(`${fact}; pass a text file with one picture of ${root} a line`, { cause: error });
  }
  const known = new Set(files);
  const byName = new Map<string, string | null>();
  for (const file of files) {
    const name = path.posix.basename(file);
    byName.set(name, byName.has(name) ? null : file);
  }
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const numbers = new Map<string, number>();
  const chosen = lines
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, before = line, number] = /^(.*\S)\s+(-?\d+)$/.exec(line) ?? [];
      for (const wanted of [line, before]) {
        const file = known.has(wanted) ? wanted : byName.get(path.posix.basename(wanted));
        if (!file) continue;
        if (wanted !== line && Number(number) >= 0) numbers.set(file, Number(number));
        return file;
      }
      throw new UserError(`dataset.subset_txt: ${subsetTxt} names "${line}", which is not in ${root}`);
    });
  if (chosen.length === 0) throw new UserError(`dataset.subset_txt: ${subsetTxt} names no picture`);
  return { files: chosen, classes: chosen.every((file) => numbers.has(file)) ? numbers : classesOf(files) };
}
