import { describe, test } from "vitest";
import { convTranspose2d } from "../../src/tensor/index.ts";
import { checkOp } from "../helpers/check-op.ts";
import { convolveTransposed } from "../reference/convolution.ts";

describe("convTranspose2d", () => {
  const cases: [
    string,
    { n: number; i: number; h: number; w: number; o: number; k: number; s: number; p: number },
  ][] = [
    ["4x4 stride 2", { n: 2, i: 5, h: 4, w: 3, o: 6, k: 4, s: 2, p: 1 }],
    ["3x3 stride 1", { n: 3, i: 6, h: 5, w: 7, o: 4, k: 3, s: 1, p: 1 }],
    ["3x3 stride 2", { n: 2, i: 3, h: 4, w: 4, o: 5, k: 3, s: 2, p: 1 }],
    ["2x2 stride 2", { n: 2, i: 9, h: 3, w: 4, o: 3, k: 2, s: 2, p: 0 }],
    ["1x1", { n: 2, i: 8, h: 4, w: 4, o: 3, k: 1, s: 1, p: 0 }],
    ["2x2 stride 3: pixels that no tap reaches", { n: 1, i: 2, h: 3, w: 3, o: 2, k: 2, s: 3, p: 0 }],
  ];
  for (const [name, { n, i, h, w, o, k, s, p }] of cases)
    for (const bias of [true, false])
      test(`${name}${bias ? "" : ", no bias"}`, () => {
        const [H, W] = [(h - 1) * s - 2 * p + k, (w - 1) * s - 2 * p + k];
        return checkOp({
          shapes: [[n, i, h, w], [i, o, k, k], bias ? [o] : null],
          out: [n, o, H, W],
          run: (x, wt, b) => convTranspose2d(x, wt, bias ? (b as typeof x) : null, { stride: s, padding: p }),
          reference: (x, wt, b) =>
            convolveTransposed(x, wt, b, { n, c: o, h: H, w: W, o: i, kh: k, kw: k, stride: s, padding: p }),
          tolerance: 4e-6,
        });
      });
});
