// Where heads lie, and the blocks whose scores are kept at a time.

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
