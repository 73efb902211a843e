// Attention of f16 through subgroup matrices: scores and outputs are matrix products, block by block, with a softmax between.
import type { Device } from "../gpu/device.ts";
import { attentionBlocks, placesOf, type AttentionShape } from "./attention-shape.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import { matmulKernel } from "./matmul.ts";
import * as wgsl from "./wgsl.gen.ts";
import { withWorkspace } from "./workspace.ts";

const softmax = defineKernel(wgsl.attentionProbs, "softmax", {
  grid: ({ lines }) => grid1d(lines, 1),
});

/** out = softmax(qᵀk/√d)·vᵀ of each head; sums and scores in f32. */
export function matrixAttention(
  device: Device,
  { qkv, out }: { qkv: HasBuffer; out: HasBuffer },
  shape: AttentionShape,
): void {
  const { d, t } = shape;
  const blocks = attentionBlocks(shape);
  const most = Math.max(...blocks.map((b) => b.images * b.heads * b.queries)) * t;
  withWorkspace(device, most, "attention's scores", (scores) =>
    withWorkspace(device, most / 2, "attention's probabilities", (space) => {
      const probs = { ...space, half: true };
      for (const b of blocks) {
        const { part, outputs, scores: matrix, many } = placesOf(shape, b);
        matmulKernel(
          device,
          { a: qkv, b: qkv, c: scores },
          {
            m: b.queries,
            n: t,
            k: d,
            transposeA: true,
            a: part(0, b.query),
            b: part(1, 0),
            c: matrix,
            ...many,
          },
        );
        const lines = b.images * b.heads * b.queries;
        softmax(device, { scores, probs }, { lines, length: t, scale: 1 / Math.sqrt(d) });
        matmulKernel(
          device,
          { a: qkv, b: probs, c: out },
          { m: d, n: b.queries, k: t, transposeB: true, a: part(2, 0), b: matrix, c: outputs, ...many },
        );
      }
    }),
  );
}
