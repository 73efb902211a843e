// Where heads lie, and the blocks whose scores are kept at a time.
import type { Place } from "./matmul.ts";

/** Where q, k, v of head (image, head) lie in qkv, in elements: image·imageStride + head·headStride, then part by part. */
export interface AttentionShape {
  readonly images: number;
  readonly heads: number;
  /** Channels of a head. */
  readonly d: number;
  /** Tokens. */
  readonly t: number;
  readonly headStride: number;
  readonly partStride: number;
}

/** Bytes that one score buffer may take. */
export const SCORE_BYTES = 2 ** 24;

/** What one step that keeps score buffers covers: whole images, or some heads of one, or some queries of one head. */
export interface Block {
  readonly image: number;
  readonly images: number;
  readonly head: number;
  readonly heads: number;
  readonly query: number;
  readonly queries: number;
}

/** Blocks whose score buffers stay within `bytes` each. */
export function attentionBlocks({ images, heads, t }: AttentionShape, bytes = SCORE_BYTES): Block[] {
  const blocks: Block[] = [];
  const fit = Math.floor(bytes / (4 * t * t));
  const imageStep = Math.min(images, Math.max(1, Math.floor(fit / heads)));
  const headStep = Math.min(heads, Math.max(1, fit));
  const queryStep = fit > 0 ? t : Math.max(4, Math.floor(bytes / (4 * t) / 4) * 4);
  for (let image = 0; image < images; image += imageStep)
    for (let head = 0; head < heads; head += headStep)
      for (let query = 0; query < t; query += queryStep)
        blocks.push({
          image,
          images: Math.min(imageStep, images - image),
          head,
          heads: Math.min(headStep, heads - head),
          query,
          queries: Math.min(queryStep, t - query),
        });
  return blocks;
}

/** Where the matrices of a block lie, for src/kernels/matmul.ts: lines of t elements. */
export function placesOf({ heads, d, t, headStride, partStride }: AttentionShape, b: Block) {
  const image = 3 * heads * d * t;
  return {
    /** Channels of q (0), k (1) or v (2), from a token on: d lines. */
    part: (i: 0 | 1 | 2, token: number): Place => ({
      line: t,
      start: b.image * image + b.head * headStride + i * partStride + token,
      outer: image,
      inner: headStride,
    }),
    /** The block's queries in y and dy: d lines. */
    outputs: {
      line: t,
      start: (b.image * heads + b.head) * d * t + b.query,
      outer: heads * d * t,
      inner: d * t,
    } as Place,
    /** In a score buffer: a line a query. */
    scores: { line: t, outer: b.heads * b.queries * t, inner: b.queries * t } as Place,
    many: { outer: b.images, inner: b.heads },
  };
}
