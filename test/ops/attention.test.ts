import { describe, expect, test } from "vitest";
import { attentionBlocks } from "../../src/kernels/attention-shape.ts";
import { attentionBackward, attentionDelta } from "../../src/kernels/attention-backward.ts";
import { attentionForward } from "../../src/kernels/attention.ts";
import { attention, ShapeError, type AttentionOptions } from "../../src/tensor/index.ts";
import { checkOp, randomArray, relativeError, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

/** Attention in float64, head by head. */
const reference =
  (n: number, c: number, t: number, { heads, order }: AttentionOptions) =>
  (qkv: F64): F64 => {
    const d = c / heads;
    const out = new Float64Array(n * c * t);
    for (let z = 0; z < n; z++)
      for (let h = 0; h < heads; h++) {
        const part = (i: number, channel: number, token: number): number => {
          const line = order === "legacy" ? (h * 3 + i) * d + channel : i * c + h * d + channel;
          return qkv[(z * 3 * c + line) * t + token] as number;
        };
        for (let a = 0; a < t; a++) {
          const weights = Array.from({ length: t }, (_, b) => {
            let s = 0;
            for (let i = 0; i < d; i++) s += part(0, i, a) * part(1, i, b);
            return s / Math.sqrt(d);
          });
          const top = Math.max(...weights);
          const e = weights.map((v) => Math.exp(v - top));
          const total = e.reduce((x, y) => x + y, 0);
          for (let i = 0; i < d; i++) {
            let s = 0;
            for (let b = 0; b < t; b++) s += (e[b] as number) * part(2, i, b);
            out[(z * c + h * d + i) * t + a] = s / total;
          }
        }
      }
    return out;
  };

describe("attention", () => {
  for (const [n, heads, d, t] of [
    [1, 1, 1, 1],
    [2, 3, 8, 25],
    [2, 2, 16, 64],
    [1, 2, 5, 33],
    [1, 1, 70, 36],
    [3, 1, 4, 7],
    [1, 2, 12, 100],
  ] as const)
    for (const order of ["legacy", "new"] as const)
      test(`${n} images, ${heads} heads of ${d}, ${t} tokens, ${order}`, () =>
        checkOp({
          shapes: [[n, 3 * heads * d, t]],
          range: [-2, 2],
          out: [n, heads * d, t],
          run: (x) => attention(x, { heads, order }),
          reference: reference(n, heads * d, t, { heads, order }),
        }));

  test("scores far apart neither overflow nor lose the small ones", () =>
    checkOp({
      shapes: [[1, 12, 40]],
      range: [-12, 12],
      out: [1, 4, 40],
      run: (x) => attention(x, { heads: 1, order: "new" }),
      reference: reference(1, 4, 40, { heads: 1, order: "new" }),
      tolerance: 1e-5,
      gradTolerance: 2e-5,
    }));

  test("blocks cover every query once and keep to the bound", () => {
    for (const [images, heads, t, bytes] of [
      [4, 4, 256, 2 ** 24],
      [5, 3, 64, 2 ** 16],
      [2, 5, 64, 40000],
      [2, 2, 101, 20000],
    ] as const) {
      const shape = { images, heads, d: 8, t, headStride: 0, partStride: 0 };
      const seen = new Uint8Array(images * heads * t);
      for (const b of attentionBlocks(shape, bytes)) {
        expect(4 * b.images * b.heads * b.queries * t).toBeLessThanOrEqual(bytes);
        for (let z = 0; z < b.images; z++)
          for (let h = 0; h < b.heads; h++)
            for (let q = 0; q < b.queries; q++) {
              const at = ((b.image + z) * heads + b.head + h) * t + b.query + q;
              seen[at] = (seen[at] as number) + 1;
            }
      }
      expect([...new Set(seen)]).toEqual([1]);
    }
  });

  test("the gradient is the same in blocks of images, of heads and of queries", async () => {
    const engine = await testEngine();
    const [images, heads, d, t] = [3, 4, 4, 36];
    const shape = { images, heads, d, t, headStride: d * t, partStride: heads * d * t };
    const [host, seed] = [
      randomArray(3 * images * heads * d * t, 5, -2, 2),
      randomArray(images * heads * d * t, 6),
    ];
    const results = engine.scope(() => {
      const qkv = engine.tensor(host, [images, 3 * heads * d, t]);
      const dy = engine.tensor(seed, [images, heads * d, t]);
      const [out, lse, delta] = [dy.shape, [images, heads, t], [images, heads, t]].map((s) =>
        engine.empty(s),
      );
      if (!out || !lse || !delta) throw new Error("unreachable");
      attentionForward(engine.device, { qkv, out, lse_out: lse }, shape);
      attentionDelta(engine.device, { result: out, dy, dots: delta }, shape);
      return [2 ** 24, 4 * t * t * 2 * heads, 4 * t * t * 3, 4 * t * 8].map((bytes) => {
        const [probs, slopes] = [0, 1].map(() => engine.empty([images * heads * t * t]));
        const dqkv = engine.empty(qkv.shape);
        if (!probs || !slopes) throw new Error("unreachable");
        const blocks = attentionBlocks(shape, bytes);
        for (const block of blocks)
          attentionBackward(engine.device, { qkv, dy, lse, delta, probs, slopes, dqkv }, shape, block);
        return { dqkv, blocks: blocks.length };
      });
    });
    expect(results.map((r) => r.blocks)).toEqual([1, 2, 6, 60]);
    const gradients = await Promise.all(results.map((r) => r.dqkv.read()));
    for (const g of gradients) expect(relativeError(g, gradients[0] as Float32Array)).toBeLessThan(1e-6);
    for (const r of results) r.dqkv.dispose();
  });

  test("refuses heads that do not divide", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      expect(() => attention(engine.empty([1, 10, 4]), { heads: 2, order: "new" })).toThrow(ShapeError);
      expect(() => attention(engine.empty([1, 12, 4]), { heads: 0, order: "new" })).toThrow("[1,12,4]");
    });
  });
});
