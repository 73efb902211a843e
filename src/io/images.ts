import { readFile } from "node:fs/promises";
import path from "node:path";
import sharp from "sharp";
import { UserError } from "../deft/errors.ts";
import { writeAside } from "./write-aside.ts";
import { decodeBmp, isBmp } from "./bmp.ts";
import { centreSquare, type Pixels } from "./resample.ts";

/** Red, green and blue, 0 ... 255. */
export type Rgb = readonly [number, number, number];

export const WHITE: Rgb = [255, 255, 255];

/** A file that is no picture, or a damaged one; the message names it. */
export class PictureError extends UserError {
  override readonly name = "PictureError";
}

/** A picture to write: CHW in [-1, 1], clamped when written. */
export interface Picture {
  readonly data: Float32Array;
  readonly channels: 1 | 3;
  readonly height: number;
  readonly width: number;
}

/** Names the shape of a square CHW picture; throws RangeError where the size is not channels x side x side. */
export function square(data: Float32Array, channels: 1 | 3): Picture {
  const side = Math.sqrt(data.length / channels);
  if (!Number.isInteger(side))
    throw new RangeError(`square: ${data.length} values are no ${channels}xSxS picture`);
  return { data, channels, height: side, width: side };
}

/**
 * Reads a picture file as CHW in [-1, 1]: the centre square brought to `side` (resample.ts), EXIF rotation
 * applied, grey and CMYK brought to sRGB, alpha laid over `background`; for one channel the Rec. 601 luma.
 * Throws PictureError.
 */
export async function readPicture(
  file: string,
  { side, channels = 3, background = WHITE }: { side: number; channels?: 1 | 3; background?: Rgb },
): Promise<Float32Array> {
  return toUnitRange(compose(await readRgba(file, side), background, channels));
}

/**
 * A whole picture file at its own size, alpha laid over white; of one channel where red, green and blue are the same everywhere.
 * Throws PictureError.
 */
export async function readWhole(file: string): Promise<Picture> {
  const { width, height, channels, data } = await decode(file);
  const n = width * height;
  const rgb = new Float32Array(3 * n);
  for (let p = 0; p < n; p++) {
    const ground = channels === 4 ? 255 - data[4 * p + 3]! : 0;
    for (let c = 0; c < 3; c++) rgb[c * n + p] = (data[channels * p + c]! + ground) / 127.5 - 1;
  }
  const isGrey = rgb.subarray(0, n).every((v, p) => v === rgb[n + p] && v === rgb[2 * n + p]);
  return { data: isGrey ? rgb.slice(0, n) : rgb, channels: isGrey ? 1 : 3, height, width };
}

/** The centre square of a picture file as RGBA bytes, side x side, alpha not multiplied in. Throws PictureError. */
export async function readRgba(file: string, side: number): Promise<Uint8Array> {
  return squareRgba(await decode(file), side);
}

/** The centre square of decoded pixels as RGBA bytes, side x side, alpha not multiplied in. */
export function squareRgba(pixels: Pixels, side: number): Uint8Array {
  const image = centreSquare(pixels, side);
  const out = new Uint8Array(side * side * 4);
  for (let p = 0; p < side * side; p++) {
    const alpha = image.channels === 4 ? image.data[4 * p + 3]! : 255;
    const scale = image.channels === 4 ? 255 / Math.max(alpha, 1e-3) : 1;
    for (let c = 0; c < 3; c++) out[4 * p + c] = toByte(image.data[image.channels * p + c]! * scale);
    out[4 * p + 3] = toByte(alpha);
  }
  return out;
}

/** RGBA bytes over a plain background -> CHW bytes: c = a*c + (1 - a)*background, a = alpha/255. */
export function compose(rgba: Uint8Array, background: Rgb, channels: 1 | 3): Uint8Array {
  const n = rgba.length / 4;
  const out = new Uint8Array(channels * n);
  for (let p = 0; p < n; p++) {
    const a = rgba[4 * p + 3]! / 255;
    const over = (c: 0 | 1 | 2): number => a * rgba[4 * p + c]! + (1 - a) * background[c];
    if (channels === 1) out[p] = Math.round(0.299 * over(0) + 0.587 * over(1) + 0.114 * over(2));
    else for (const c of [0, 1, 2] as const) out[c * n + p] = Math.round(over(c));
  }
  return out;
}

/** Bytes 0 ... 255 -> [-1, 1]: x = 2b/255 - 1. */
export function toUnitRange(bytes: Uint8Array): Float32Array {
  return Float32Array.from(bytes, (b) => b / 127.5 - 1);
}

/**
 * All pixels of a picture file, RGB or RGBA in 0 ... 255; where there is alpha, colours come multiplied by it,
 * so that resampling mixes rightly. Throws PictureError.
 */
export async function decode(file: string): Promise<Pixels> {
  return decodeBytes(() => readFile(file), file);
}

/** As decode, of an encoded picture that `load` gives; `name` says which in the error. */
export async function decodeBytes(
  load: () => Uint8Array | Promise<Uint8Array>,
  name: string,
): Promise<Pixels> {
  try {
    const bytes = await load();
    if (isBmp(bytes)) return { channels: 3, ...decodeBmp(bytes) };
    const { data, info } = await sharp(bytes, { failOn: "error" })
      .autoOrient()
      .toColourspace("srgb")
      .raw({ depth: "uchar" })
      .toBuffer({ resolveWithObject: true });
    const { width, height, channels } = info;
    if (channels === 3) return { width, height, channels, data };
    if (channels === 4) return { width, height, channels, data: premultiply(data) };
    throw new Error(`${channels} channels`);
  } catch (error) {
    throw new PictureError(`${name}: ${factOf(error, name)}`, { cause: error });
  }
}

/** Why a file could not be decoded, and what to do. */
function factOf(error: unknown, name: string): string {
  const reason = String(error instanceof Error ? error.message : error).split("\n")[0] as string;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOENT" || code === "ENOTDIR") return "no such file; expected the path of a picture";
  if (code === "EISDIR")
    return `a folder; expected a picture; pass the files in it, such as ${path.join(name, "*.png")}`;
  if (reason.includes("unsupported image format"))
    return "not a picture; expected png, jpg, webp, bmp, gif, tiff or avif";
  return `not a picture that can be read; got ${reason}`;
}

function premultiply(rgba: Uint8Array): Float32Array {
  const out = new Float32Array(rgba.length);
  for (let i = 0; i < rgba.length; i += 4) {
    const alpha = rgba[i + 3]!;
    for (let c = 0; c < 3; c++) out[i + c] = (rgba[i + c]! * alpha) / 255;
    out[i + 3] = alpha;
  }
  return out;
}

function toByte(value: number): number {
  return Math.min(255, Math.max(0, Math.round(value)));
}

/** PNG of a picture, 8 bits a channel: b = 255(x + 1)/2, rounded and clamped. */
export async function encodePng({ data, channels, height, width }: Picture): Promise<Buffer> {
  const n = height * width;
  const bytes = new Uint8Array(channels * n);
  for (let p = 0; p < n; p++) {
    for (let c = 0; c < channels; c++) bytes[channels * p + c] = toByte((data[c * n + p]! + 1) * 127.5);
  }
  return sharp(bytes, { raw: { width, height, channels } }).png().toBuffer();
}

export async function writePng(file: string, picture: Picture): Promise<void> {
  const png = await encodePng(picture);
  await writeAside(file, (handle) => handle.writeFile(png));
}

/**
 * Pictures row by row in a grid of `columns`, `gutter` white pixels between and around; smaller ones (the
 * measurement of super-resolution) grow to the largest by repeating pixels, then all by `zoom`. One row
 * makes a strip.
 */
export function tile(
  pictures: readonly Picture[],
  {
    columns = pictures.length,
    gutter = 2,
    zoom = 1,
  }: { columns?: number; gutter?: number; zoom?: number } = {},
): Picture {
  const cellW = zoom * Math.max(1, ...pictures.map((p) => p.width));
  const cellH = zoom * Math.max(1, ...pictures.map((p) => p.height));
  const channels = pictures.some((p) => p.channels === 3) ? 3 : 1;
  const width = gutter + columns * (cellW + gutter);
  const height = gutter + Math.ceil(pictures.length / columns) * (cellH + gutter);
  const data = new Float32Array(channels * height * width).fill(1);
  pictures.forEach((picture, index) => {
    const left = gutter + (index % columns) * (cellW + gutter);
    const top = gutter + Math.floor(index / columns) * (cellH + gutter);
    for (let c = 0; c < channels; c++) {
      const plane = Math.min(c, picture.channels - 1) * picture.height * picture.width;
      for (let y = 0; y < cellH; y++) {
        const from = plane + Math.floor((y * picture.height) / cellH) * picture.width;
        const to = (c * height + top + y) * width + left;
        for (let x = 0; x < cellW; x++)
          data[to + x] = picture.data[from + Math.floor((x * picture.width) / cellW)]!;
      }
    }
  });
  return { data, channels, height, width };
}
