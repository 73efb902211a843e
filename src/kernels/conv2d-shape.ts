// What a convolution's variants share: its sizes, what each of the three that have variants takes, and limits.
import type { Device } from "../gpu/device.ts";
import type { HasBuffer } from "./kernel.ts";
import type { Values } from "./shader.ts";

/** Sizes of one convolution x[n,c,h,w] * w[o,c,kh,kw] -> [n,o,oh,ow]. */
export interface ConvShape {
  readonly n: number;
  readonly c: number;
  readonly h: number;
  readonly w: number;
  readonly o: number;
  readonly kh: number;
  readonly kw: number;
  readonly oh: number;
  readonly ow: number;
  readonly stride: number;
  readonly padY: number;
  readonly padX: number;
}

export interface ForwardBuffers {
  readonly x: HasBuffer;
  readonly w: HasBuffer;
  readonly bias: HasBuffer | null;
  /** Added to the result, of its shape and type. */
  readonly residual: HasBuffer | null;
  readonly out: HasBuffer;
}
export interface InputGradientBuffers {
  readonly dy: HasBuffer;
  readonly w: HasBuffer;
  /** By channel c, for transposed convolution. */
  readonly bias: HasBuffer | null;
  readonly out: HasBuffer;
}
export interface WeightGradientBuffers {
  readonly x: HasBuffer;
  readonly dy: HasBuffer;
  readonly out: HasBuffer;
}

/** A window as constants of the shaders. */
export const windowOf = (s: ConvShape) => ({ KH: s.kh, KW: s.kw, STRIDE: s.stride });

/** Constants of some windows: those of the networks, and others. */
export const windows: readonly Values[] = [
  { KH: 1, KW: 1, STRIDE: 1 },
  { KH: 3, KW: 3, STRIDE: 1 },
  { KH: 3, KW: 3, STRIDE: 2 },
  { KH: 1, KW: 5, STRIDE: 3 },
];
/** Tiles of 64 rows or columns. */
export const tiles = (n: number): number => Math.ceil(n / 64);

/** Workgroups over tiles of pixels and channels; pixels fold into z past 65535. */
export const spread = (pixels: number, channels: number): number[] => {
  const x = Math.min(tiles(pixels), 65535);
  return [x, tiles(channels), Math.ceil(tiles(pixels) / x)];
};

/** Taps of such a window. */
export const taps = (v: Values): number => Number(v["KH"]) * Number(v["KW"]);

/** Bytes that one workspace should not pass: larger batches are cut into parts, which also stay in the caches. */
const WORKSPACE = 8 * 2 ** 20;

/**
 * The parts [first, count] of n images or rows for workspaces of `bytes` each, `most` a part and whole steps where one fits; the
 * first is the largest.
 */
export function parts(n: number, bytes: number, most = n, step = 1): [first: number, count: number][] {
  const fitting = Math.min(most, Math.max(1, Math.floor(WORKSPACE / bytes)));
  const count = Math.min(n, fitting < step ? fitting : fitting - (fitting % step));
  return Array.from({ length: Math.ceil(n / count) }, (_, i) => [i * count, Math.min(count, n - i * count)]);
}

/** True where a workspace of `bytes` can be bound. */
export function fits(device: Device, bytes: number): boolean {
  return bytes * 1.25 <= device.gpu.limits.maxStorageBufferBindingSize;
}

export const quads = (n: number): number => Math.ceil(n / 4);
