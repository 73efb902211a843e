import { attentionBlocks, type AttentionShape } from "../../kernels/attention-shape.ts";
import { attentionBackward, attentionDelta } from "../../kernels/attention-backward.ts";
import { attentionForward } from "../../kernels/attention.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectFloat, expectRank } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface AttentionOptions {
  readonly heads: number;
  /** Order of qkv's channels: "legacy" heads first, then q, k, v of each; "new" q, k, v first, then the heads of each. */
  readonly order: "legacy" | "new";
}

function shapeOf(qkv: Shape, { heads, order }: AttentionOptions): AttentionShape {
  const [images, channels, t] = qkv as [number, number, number];
  const d = channels / 3 / heads;
  const [headStride, partStride] = order === "legacy" ? [3 * d * t, d * t] : [d * t, heads * d * t];
  return { images, heads, d, t, headStride, partStride };
}

/**
 * Self-attention, y = v·softmax(qᵀk/√d)ᵀ of each head (the scale is d^-¼ on q and on k). qkv: f32 or f16[n, 3·c, t] in the given
 * channel order, y: f32[n, c, t], heads divide c. No t×t matrix is kept: saves qkv, y and the log-sum-exp of each query; the
 * gradient recomputes the scores in blocks of at most 2·16 MiB. Vaswani et al. 2017; Rabe & Staats 2021 for the memory.
 */
export const attention = defineOp<[Tensor], [AttentionOptions], { out: Tensor; lse: Tensor }>("attention", {
  inputs: 1,
  half: true,
  check(qkv, { heads }) {
    expectFloat("attention", qkv, qkv, "qkv");
    expectRank("attention", qkv, 3, "qkv");
    if (!(Number.isInteger(heads) && heads > 0) || qkv.dim(1) % (3 * heads) !== 0 || qkv.size === 0)
      throw new ShapeError(
        `attention: ${heads} heads do not divide qkv ${showShape(qkv.shape)}; expected [n, 3·c, t], c a multiple of heads`,
      );
  },
  forward(qkv, options) {
    const shape = shapeOf(qkv.shape, options);
    const { images, heads, d, t } = shape;
    const out = qkv.engine.empty([images, heads * d, t], qkv.dtype, "attention");
    const lse = qkv.engine.empty([images, heads, t], "f32", "attention log-sum-exp");
    attentionForward(qkv.device, { qkv, out, lse_out: lse }, shape);
    return { out, lse };
  },
  save: ({ out, lse }, qkv) => [qkv, out, lse],
  backward(dy, saved, _needs, qkvShape, options) {
    const [qkv, y, lse] = saved as [Tensor, Tensor, Tensor];
    const { engine, device } = dy;
    const shape = shapeOf(qkvShape, options);
    const dqkv = engine.empty(qkvShape, "f32", "attention gradient");
    const delta = engine.empty(lse.shape, "f32", "attention delta");
    attentionDelta(device, { result: y, dy, dots: delta }, shape);
    const blocks = attentionBlocks(shape);
    const largest = Math.max(...blocks.map((b) => b.images * b.heads * b.queries)) * shape.t;
    const [probs, slopes] = ["probabilities", "slopes"].map((name) =>
      engine.empty([largest], "f32", `attention ${name}`),
    ) as [Tensor, Tensor];
    for (const block of blocks)
      attentionBackward(device, { qkv, dy, lse, delta, probs, slopes, dqkv }, shape, block);
    return [dqkv];
  },
});
