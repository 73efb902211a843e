import { describe, test } from "vitest";
import { silu } from "../../src/tensor/index.ts";
import { checkOp } from "../helpers/check-op.ts";

describe("silu", () => {
  for (const n of [1, 3, 255, 256, 257])
    test(`n = ${n}`, () =>
      checkOp({
        shapes: [[n]],
        out: [n],
        range: [-12, 12],
        run: (x) => silu(x),
        reference: (x) => x.map((v) => v / (1 + Math.exp(-v))),
      }));
});
