import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import path from "node:path";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { hash32, randomStream, type RandomStream } from "../deft/random.ts";
import { cacheFolder } from "./cache-folder.ts";
import { compose, readRgba, toUnitRange, type Rgb } from "./images.ts";
import { forEachParallel } from "./parallel.ts";
import { writeAside } from "./write-aside.ts";

const PACKAGE = "@lobehub/fluent-emoji-3d";

export interface EmojiOptions {
  readonly side: number;
  readonly split: "train" | "test";
  /** A fixed background; without it each picture has its own plain colour. */
  readonly background?: Rgb;
  /** How many versions of each symbol: index i is symbol i mod n in version floor(i / n), with its own colour. */
  readonly versions?: number;
  /** Mirror half of the versions but the first. */
  readonly flip?: boolean;
  readonly seed?: number;
}

/**
 * The embedded pictures: Fluent emoji (3,391, of which training leaves out the skin-tone variants) with alpha over a plain
 * background, [-1, 1], three channels.
 * Skin-tone and joined variants of one symbol are all in the same split (about 90 to 10). The test split
 * opens with single pictorial symbols. Decoded once, then kept in the user's cache folder.
 */
export async function openEmoji(options: EmojiOptions): Promise<ImageDataset> {
  const { side, split, background, versions = 1, flip = false, seed = 0 } = options;
  const { names, rgba } = await loadPackage(side);
  const place = new Map(names.map((name, i) => [name, i]));
  // Skin tones repeat one drawing five times: people would be half of what a prior learns, so training takes the plain ones.
  const symbols = splitSymbols(names, split).filter(
    (symbol) => split === "test" || !/1f3f[b-f]/.test(symbol),
  );
  const length = symbols.length * versions;
  const name = `emoji ${split}`;
  const bytes = side * side * 4;
  const get = (index: number): Float32Array => {
    const symbol = symbols[index % symbols.length];
    if (symbol === undefined || index >= length)
      throw new RangeError(`${name}: no picture ${index} of ${length}`);
    const version = Math.floor(index / symbols.length);
    const random = randomStream("emoji", seed, symbol, version);
    const colour = plainColour(random);
    const mirror = flip && version > 0 && random.uniform() < 0.5;
    const start = place.get(symbol)! * bytes;
    const planes = compose(rgba.subarray(start, start + bytes), background ?? colour, 3);
    return toUnitRange(mirror ? mirrored(planes, side) : planes);
  };
  return { name, length, versions, channels: 3, side, get: (index) => Promise.resolve(get(index)) };
}

/**
 * The symbol that a file belongs to: its code points without skin tones, variation selectors and all that is
 * joined on. Man, woman and person open the same professions and couples, so they count as one symbol.
 */
export function baseSymbol(name: string): string {
  const joined = name.split("-200d")[0]!;
  const parts = joined.split("-").filter((part) => part !== "fe0f" && !/^1f3f[b-f]$/.test(part));
  const base = parts.filter((part) => !part.startsWith("e00")).join("-");
  return PEOPLE.has(base) ? "1f9d1" : base;
}

/** Person, man, woman, family and the couples, which the joined files also draw. */
const PEOPLE = new Set("1f9d1 1f468 1f469 1f46a 1f46b 1f46c 1f46d 1f48f 1f491".split(" "));

/** Names of one split; the test names mixed within their `rank`, the others as listed. */
export function splitSymbols(names: readonly string[], split: "train" | "test"): string[] {
  const isTest = (name: string): boolean => hash32(`emoji ${baseSymbol(name)}`) % 10 === 0;
  if (split === "train") return names.filter((name) => !isTest(name));
  const order = (name: string): number => hash32(name) + 2 ** 32 * rank(name);
  return names.filter(isTest).sort((a, b) => order(a) - order(b));
}

/** 0: plants, food, animals, things and faces; 1: signs, clocks, flags; 2: skin tones and joined variants. */
function rank(name: string): 0 | 1 | 2 {
  if (/200d|1f3f[b-f]/.test(name)) return 2;
  const code = /^[0-9a-f]{5}(-fe0f)?$/.test(name) ? parseInt(name, 16) : 0;
  return PICTORIAL.some(([first, last]) => first <= code && code <= last) ? 0 : 1;
}

const PICTORIAL = [
  [0x1f32d, 0x1f393],
  [0x1f3a0, 0x1f3b8],
  [0x1f400, 0x1f43f],
  [0x1f484, 0x1f4bf],
  [0x1f600, 0x1f640],
  [0x1f680, 0x1f6a4],
  [0x1f950, 0x1f9ba],
  [0x1fa70, 0x1faff],
] as const;

/** Hue by chance, pale: white at the lightest, so that symbols stand out. HSL -> RGB. */
function plainColour(random: RandomStream): Rgb {
  const hue = random.between(0, 12);
  const saturation = random.between(0, 0.7);
  const lightness = random.between(0.75, 1);
  const channel = (n: number): number => {
    const k = (n + hue) % 12;
    const a = saturation * Math.min(lightness, 1 - lightness);
    return Math.round(255 * (lightness - a * Math.max(-1, Math.min(k - 3, 9 - k, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

function mirrored(planes: Uint8Array, side: number): Uint8Array {
  const out = new Uint8Array(planes.length);
  for (let row = 0; row < planes.length; row += side) out.set(planes.slice(row, row + side).reverse(), row);
  return out;
}

/** All symbols as RGBA bytes in order of name, from the cache file or decoded and put there. */
async function loadPackage(side: number): Promise<{ names: string[]; rgba: Uint8Array }> {
  const { folder, version } = await findPackage();
  const files = (await readdir(folder)).filter((file) => file.endsWith(".webp")).sort();
  const names = files.map((file) => file.slice(0, -".webp".length));
  const size = files.length * side * side * 4;
  const cached = path.join(cacheFolder(), `emoji-${version}-${side}.rgba`);
  const known = await readCached(cached, size);
  if (known) return { names, rgba: known };
  const rgba = new Uint8Array(size);
  await forEachParallel(files, 4, async (file, i) => {
    rgba.set(await readRgba(path.join(folder, file), side), i * side * side * 4);
  });
  try {
    await writeAside(cached, async (handle) => {
      await handle.writeFile(rgba);
      await handle.writeFile(digest(rgba));
    });
  } catch {
    // A home that cannot be written, or a full disk, only costs the decoding the next time.
  }
  return { names, rgba };
}

async function findPackage(): Promise<{ folder: string; version: string }> {
  try {
    const manifest = createRequire(import.meta.url).resolve(`${PACKAGE}/package.json`);
    const { version } = JSON.parse(await readFile(manifest, "utf8")) as { version: string };
    return { folder: path.join(path.dirname(manifest), "assets"), version };
  } catch (error) {
    const what = `embedded pictures: the npm package ${PACKAGE} is not installed`;
    throw new UserError(`${what}; run npm ci, or pass dataset.root=FOLDER`, { cause: error });
  }
}

/** The cached bytes, or undefined where the file is absent, cut short or does not match its SHA-256. */
async function readCached(file: string, size: number): Promise<Uint8Array | undefined> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch {
    return undefined;
  }
  if (bytes.length !== size + 32) return undefined;
  const rgba = bytes.subarray(0, size);
  return digest(rgba).equals(bytes.subarray(size)) ? rgba : undefined;
}

function digest(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}
