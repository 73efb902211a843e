import { describe, expect, it } from "vitest";
import { matrixAttention } from "../../src/kernels/attention-matrix.ts";
import { f16ToF32, f32ToF16 } from "../../src/nn/dtype-bits.ts";
import {
  add,
  attention,
  avgPool2d,
  cast,
  concat,
  conv1d,
  conv2d,
  DtypeError,
  GradientError,
  groupNorm,
  mul,
  matmul,
  permute,
  reshape,
  silu,
  sizeOf,
  slice,
  upsampleNearest,
  type Tensor,
} from "../../src/tensor/index.ts";
import { poison, randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

// An op on f16 gives what it gives on the same numbers in f32 (which the other files compare with float64), rounded once.
const half = (await testEngine()).device.half;

interface Case {
  readonly name: string;
  /** Shapes of the f16 inputs, then of those that stay f32. */
  readonly halves: readonly (readonly number[])[];
  readonly floats?: readonly (readonly number[])[];
  readonly run: (...inputs: Tensor[]) => Tensor;
}

const conv = (
  n: number,
  c: number,
  h: number,
  w: number,
  o: number,
  k: number,
  stride = 1,
  padding = k >> 1,
) => ({
  name: `conv2d [${n},${c},${h},${w}] to ${o}, ${k}x${k}, stride ${stride}`,
  halves: [
    [n, c, h, w],
    [o, c, k, k],
  ],
  floats: [[o]],
  run: (x: Tensor, w: Tensor, b: Tensor) => conv2d(x, w, b, { stride, padding }),
});
const residual = (n: number, c: number, h: number, w: number, o: number, k: number): Case => ({
  name: `conv2d [${n},${c},${h},${w}] to ${o}, ${k}x${k}, plus a residual`,
  halves: [
    [n, c, h, w],
    [o, c, k, k],
    [n, o, h, w],
  ],
  floats: [[o]],
  run: (x, w, r, b) => conv2d(x, w, b, { padding: k >> 1, residual: r }),
});
const norm = (shape: readonly number[], groups: number, scaled: boolean): Case => ({
  name: `groupNorm [${shape.join(",")}] of ${groups}${scaled ? ", scaled" : ""}`,
  halves: [shape],
  floats: [[shape[1] ?? 0], [shape[1] ?? 0], ...(scaled ? [[shape[0] ?? 0, 2 * (shape[1] ?? 0)]] : [])],
  run: (x, gamma, beta, s) =>
    groupNorm(x, gamma as Tensor, beta as Tensor, s ?? null, { groups, silu: scaled }),
});
const attend = (n: number, c: number, t: number, heads: number, order: "legacy" | "new"): Case => ({
  name: `attention [${n},${3 * c},${t}], ${heads} heads, ${order}`,
  halves: [[n, 3 * c, t]],
  run: (x) => attention(x, { heads, order }),
});

const cases: Case[] = [
  conv(2, 8, 16, 16, 12, 3),
  conv(1, 5, 7, 9, 6, 3),
  conv(3, 7, 9, 6, 5, 3, 2),
  conv(2, 8, 8, 8, 20, 1),
  conv(1, 61, 6, 5, 8, 3),
  residual(2, 5, 8, 8, 7, 3),
  residual(1, 70, 5, 3, 4, 3),
  residual(2, 6, 4, 6, 8, 1),
  conv(1, 3, 5, 7, 9, 1),
  {
    name: "conv1d",
    halves: [
      [2, 6, 21],
      [5, 6, 1],
    ],
    floats: [[5]],
    run: (x, w, b) => conv1d(x, w as Tensor, b as Tensor),
  },
  ...[false, true].map((transposeB) => ({
    name: `matmul${transposeB ? " by a transpose" : ""}`,
    halves: [[2, 9, 12], transposeB ? [2, 20, 12] : [2, 12, 20]],
    run: (a: Tensor, b: Tensor) => matmul(a, b, { transposeB }),
  })),
  norm([2, 32, 8, 8], 32, true),
  norm([1, 6, 5, 7], 3, false),
  attend(2, 32, 64, 2, "legacy"),
  attend(1, 40, 49, 2, "new"),
  {
    name: "add",
    halves: [
      [2, 3, 5, 7],
      [2, 3, 5, 7],
    ],
    run: (a, b) => add(a, b as Tensor),
  },
  {
    name: "add of one number a channel",
    halves: [
      [2, 6, 4, 4],
      [2, 6, 1, 1],
    ],
    run: (a, b) => add(a, b as Tensor),
  },
  {
    name: "mul with strides",
    halves: [
      [3, 1, 5],
      [1, 4, 5],
    ],
    run: (a, b) => mul(a, b as Tensor),
  },
  {
    name: "concat, odd",
    halves: [
      [2, 3, 3, 3],
      [2, 1, 3, 3],
    ],
    run: (a, b) => concat([a, b as Tensor], 1),
  },
  {
    name: "concat, even",
    halves: [
      [2, 4, 4, 4],
      [2, 2, 4, 4],
    ],
    run: (a, b) => concat([a, b as Tensor], 1),
  },
  { name: "slice, odd", halves: [[2, 5, 3]], run: (x) => slice(x, [0, 1], [2, 4]) },
  { name: "slice, even", halves: [[4, 6]], run: (x) => slice(x, [1], [3]) },
  { name: "permute", halves: [[3, 4, 5]], run: (x) => permute(x, [2, 0, 1]) },
  { name: "reshape", halves: [[3, 4, 5]], run: (x) => reshape(x, [5, 12]) },
  { name: "upsampleNearest", halves: [[1, 2, 4, 4]], run: (x) => upsampleNearest(x, 2) },
  { name: "upsampleNearest, odd", halves: [[1, 2, 3, 5]], run: (x) => upsampleNearest(x, 3) },
  { name: "avgPool2d", halves: [[1, 3, 8, 8]], run: (x) => avgPool2d(x, 2) },
  { name: "avgPool2d, odd", halves: [[1, 3, 7, 9]], run: (x) => avgPool2d(x, 3) },
];

describe.skipIf(!half).each(["", "base", "group-norm:parts"])("f16 with kernels %j", (kernels) => {
  // Lavapipe compiles plain attention for minutes; Dawn's null backend checks that it compiles (test/unit/shaders.test.ts).
  // Where a kernel of its own adds the residual, as after the software product, there are two roundings.
  const possible = cases
    .filter(
      (c) => kernels === "base" || !(c.name.startsWith("conv2d") && c.name.endsWith("1x1, plus a residual")),
    )
    .filter((c) => kernels === "" || !c.name.startsWith("attention"));
  it.each(possible)("$name", async ({ halves, floats = [], run }) => {
    const engine = await testEngine(kernels);
    const data = [...halves, ...floats].map((s, i) =>
      f16ToF32(f32ToF16(randomArray(sizeOf(s), 5 + i, -1, 1.5))),
    );
    const shapes = [...halves, ...floats];
    const full = engine.scope(() => run(...data.map((d, i) => engine.tensor(d, shapes[i]))));
    const want = await full.read();
    poison(engine, [want.length, ...data.map((d) => d.length)]);
    const rounded = engine.scope(() => {
      const result = run(
        ...data.map((d, i) => engine.tensor(i < halves.length ? f32ToF16(d) : d, shapes[i])),
      );
      expect(result.dtype).toBe("f16");
      expect(result.shape).toEqual(full.shape);
      return cast(result, "f32");
    });
    const got = await rounded.read();
    const most = Math.max(...want.map(Math.abs));
    want.forEach((v, i) => {
      // Half a unit in the last place of eleven bits, and what f32 may differ by.
      expect(Math.abs((got[i] as number) - v), `element ${i}`).toBeLessThanOrEqual(
        2 ** -11 * Math.abs(v) + 2e-6 * most,
      );
    });
    full.dispose();
    rounded.dispose();
  });
});

// The products are those of the adapter at hand here; where q, k, v and the blocks lie and the softmax between are the same.
describe.skipIf(!half)("attention by matrix products", () => {
  it.each([
    { images: 2, heads: 3, d: 8, t: 37, order: "legacy" as const },
    { images: 1, heads: 2, d: 16, t: 64, order: "new" as const },
    // Scores of all heads of an image exceed a block.
    { images: 2, heads: 3, d: 4, t: 1300, order: "new" as const },
  ])("[$images, $heads, $d, $t] $order", async ({ images, heads, d, t, order }) => {
    const engine = await testEngine();
    const c = heads * d;
    const values = f16ToF32(f32ToF16(randomArray(images * 3 * c * t, 3)));
    const full = engine.tensor(values, [images, 3 * c, t]);
    const qkv = engine.tensor(f32ToF16(values), [images, 3 * c, t]);
    poison(engine, [images * c * t]);
    const out = engine.empty([images, c, t], "f16");
    const [headStride, partStride] = order === "legacy" ? [3 * d * t, d * t] : [d * t, c * t];
    matrixAttention(engine.device, { qkv, out }, { images, heads, d, t, headStride, partStride });
    const plain = engine.scope(() => attention(full, { heads, order }));
    const got = engine.scope(() => cast(out, "f32"));
    // Probabilities and results are rounded to eleven bits.
    expect(relativeError(await got.read(), await plain.read())).toBeLessThan(2 ** -11);
    for (const x of [full, qkv, out, plain, got]) x.dispose();
  });
});

describe.skipIf(!half)("f16", () => {
  it("rounds to the nearest and comes back exactly", async () => {
    const engine = await testEngine();
    const values = Float32Array.from([0, 1, -2.5, 1e-7, 0.1, 65504, 2049, -3.14159, 6e-5]);
    const there = engine.tensor(values);
    const back = engine.scope(() => cast(cast(there, "f16"), "f32"));
    const got = await back.read();
    const want = f16ToF32(f32ToF16(values));
    // WGSL lets a conversion round either way.
    want.forEach((v, i) =>
      expect(Math.abs((got[i] as number) - v)).toBeLessThanOrEqual(
        Math.max(2 ** -10 * Math.abs(v), 2 ** -24),
      ),
    );
    there.dispose();
    back.dispose();
  });

  it("is refused by ops that do not take it, beside f32, for gradients and by read", async () => {
    const engine = await testEngine();
    const x = engine.tensor(f32ToF16(Float32Array.from([1, 2, 3, 4])), [1, 1, 2, 2]);
    const y = engine.tensor([1, 2, 3, 4], [1, 1, 2, 2]);
    expect(() => silu(x)).toThrow(/silu: takes no f16; cast/);
    expect(() => add(x, y)).toThrow(DtypeError);
    expect(() => conv2d(y, x, null)).toThrow(DtypeError);
    x.requiresGrad = true;
    expect(() => add(x, x)).toThrow(GradientError);
    await expect(x.read()).rejects.toThrow(/cast/);
    expect(() => x.write(new Float32Array(4))).toThrow(DtypeError);
    x.dispose();
    y.dispose();
  });
});
