import { describe, expect, it } from "vitest";
import { defineKernel } from "../../src/kernels/kernel.ts";
import { combine, type Entries, type Shader, type Values } from "../../src/kernels/shader.ts";
import { sumSlices } from "../../src/kernels/conv2d-slices.ts";
import { spread } from "../../src/kernels/conv2d-shape.ts";
import * as wgsl from "../../src/kernels/wgsl.gen.ts";
import { matmul } from "../../src/tensor/index.ts";
import { poison, randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { convolve } from "../reference/convolution.ts";

// No adapter at hand has subgroup matrices, so the shaders that use them run here with the matrices emulated: each lane keeps a
// whole matrix and does the whole product in f32. What is staged where, which matrix meets which and where results go is theirs.
const EMULATION =
  `fn emulated_left(at: u32, pitch: u32) -> Left { var m: Left; for (var e = 0u; e < MM * MK; e++) { m[e] = left[at + e / MK * pitch + e % MK]; } return m; } ` +
  `fn emulated_right(at: u32, pitch: u32) -> Right { var m: Right; for (var e = 0u; e < MK * MN; e++) { m[e] = right[at + e / MN * pitch + e % MN]; } return m; } ` +
  `fn emulated_product(a: Left, b: Right, c: Result) -> Result { var x = a; var y = b; var m = c; for (var e = 0u; e < MM * MN; e++) { for (var k = 0u; k < MK; k++) { m[e] += x[e / MN * MK + k] * y[k * MN + e % MN]; } } return m; } ` +
  `fn emulated_store(at: u32, c: Result, pitch: u32) { var m = c; for (var e = 0u; e < MM * MN; e++) { results[at + e / MN * pitch + e % MN] = m[e]; } }`;

function emulated<E extends Entries>(shader: Shader<E>): Shader<E> {
  const replacements: [RegExp, string][] = [
    [/^(enable|diagnostic).*$/gm, ""],
    // Floats take twice the workgroup memory: half as many k at a time.
    [/const KS = 32u;/, "const KS = 16u;"],
    [/const LP = 40u;/, "const LP = 24u;"],
    [/\bf16\b/g, "f32"],
    [/\bvec4h\b/g, "vec4f"],
    [/subgroup_matrix_left<.*>/, "array<f32, MM * MK>"],
    [/subgroup_matrix_right<.*>/, "array<f32, MK * MN>"],
    [/subgroup_matrix_result<.*>/, "array<f32, MM * MN>"],
    [/subgroupMatrixLoad<Left, row_major>\(&left, /g, "emulated_left("],
    [/subgroupMatrixLoad<Right, row_major>\(&right, /g, "emulated_right("],
    [/subgroupMatrixMultiplyAccumulate\(/g, "emulated_product("],
    [/subgroupMatrixStore<row_major>\(&results, /g, "emulated_store("],
    [/, @builtin\(subgroup_id\) subgroup: u32/, ""],
    [/tile\(l, subgroup, /, "tile(l, l / SG, "],
  ];
  let { source } = shader;
  for (const [from, to] of replacements) {
    expect(source, String(from)).toMatch(from);
    source = source.replace(from, to);
  }
  expect(source).not.toMatch(/subgroupMatrix|subgroup_/);
  return { ...shader, source: `${source} ${EMULATION}` };
}

const sizes = [
  { SG: 4, MM: 8, MN: 8, MK: 8 },
  { SG: 8, MM: 16, MN: 8, MK: 8 },
  { SG: 8, MM: 8, MN: 16, MK: 16 },
];

describe("a tile of subgroup matrices", () => {
  const options = [
    { TA: 0, TB: 0, BIAS: 1, ACC: 0 },
    { TA: 1, TB: 0, BIAS: 0, ACC: 1 },
    { TA: 0, TB: 1, BIAS: 0, ACC: 0 },
  ];
  const floats = { AV: 0, BV: 0, CV: 0, AT: "f32", BT: "f32", CT: "f32" };
  const forms = sizes.map((size, i) => ({ ...size, ...options[i], ...floats }) as Values);
  const product = defineKernel(emulated(wgsl.matmulMatrix), "main", {
    values: forms,
    grid: ({ m, n, count }: { m: number; n: number; count: number }) => [
      Math.ceil(n / 64),
      Math.ceil(m / 64),
      count,
    ],
  });
  it.each(forms)("multiplies as $SG lanes, $MM x $MN x $MK, TA $TA, TB $TB", async (values) => {
    const engine = await testEngine();
    const [m, n, k] = [70, 37, 45];
    const shapes = { a: values["TA"] ? [2, k, m] : [2, m, k], b: values["TB"] ? [2, n, k] : [2, k, n] };
    const [a, b] = [
      engine.tensor(randomArray(2 * m * k, 1), shapes.a),
      engine.tensor(randomArray(2 * n * k, 2), shapes.b),
    ];
    const bias = engine.tensor(randomArray(n, 3));
    const before = randomArray(2 * m * n, 4);
    const out = engine.tensor(before, [2, m, n]);
    const params = {
      ...{ m, n, k, sum: 1, inner: 1, count: 2 },
      ...{ a_start: 0, a_line: values["TA"] ? m : k, a_outer: m * k, a_inner: 0, a_sum: 0 },
      ...{ b_start: 0, b_line: values["TB"] ? k : n, b_outer: n * k, b_inner: 0, b_sum: 0 },
      ...{ c_start: 0, c_line: n, c_outer: m * n, c_inner: 0 },
    };
    product(engine.device, { a, b, bias, c: out }, params, values);
    const [ta, tb] = [values["TA"] === 1, values["TB"] === 1];
    const plain = engine.scope(() => matmul(a, b, { transposeA: ta, transposeB: tb }));
    const [want, biases] = [await plain.read(), await bias.read()];
    const expected = want.map(
      (v, i) =>
        v + (values["BIAS"] ? (biases[i % n] as number) : 0) + (values["ACC"] ? (before[i] as number) : 0),
    );
    expect(relativeError(await out.read(), expected)).toBeLessThan(2e-6);
    for (const t of [a, b, bias, out, plain]) t.dispose();
  });

  // A lane stages one column of 64, so there are that many at least.
  const [lanes16, lanes32] = [
    { SG: 16, MM: 8, MN: 8, MK: 8 },
    { SG: 32, MM: 8, MN: 16, MK: 16 },
  ];
  const convolution = emulated(wgsl.conv2dMatrix);
  const values = combine([{ KH: 3, KW: 3, STRIDE: 2, Y: "f32" }], [lanes16, lanes32]);
  const pack = defineKernel(convolution, "pack", {
    grid: (p) => [1, p.o, 1],
    values,
  });
  const forward = defineKernel(convolution, "forward", {
    grid: (p) => {
      const [x = 1, y = 1, z = 1] = spread(p.n * p.oh * p.ow, p.o);
      return [x, y, z * p.slices];
    },
    values,
  });
  const convolutions = [
    { n: 2, c: 5, h: 9, w: 7, o: 70, kh: 3, kw: 3, stride: 1, padding: 1, size: lanes16, slices: 1 },
    { n: 2, c: 37, h: 6, w: 5, o: 9, kh: 3, kw: 3, stride: 2, padding: 1, size: lanes32, slices: 4 },
    { n: 1, c: 12, h: 5, w: 15, o: 9, kh: 1, kw: 1, stride: 1, padding: 0, size: lanes16, slices: 1 },
  ];
  it.each(convolutions)("convolves [$n,$c,$h,$w] to $o by $kh, stride $stride, in $slices", async (one) => {
    const { size, slices, ...s } = one;
    const engine = await testEngine();
    const side = (v: number): number => Math.floor((v + 2 * s.padding - s.kh) / s.stride) + 1;
    const [oh, ow, taps] = [side(s.h), side(s.w), s.kh * s.kw];
    const [x, w, b] = [
      randomArray(s.n * s.c * s.h * s.w, 5),
      randomArray(s.o * s.c * taps, 6),
      randomArray(s.o, 7),
    ] as const;
    const [input, weights, bias] = [engine.tensor(x), engine.tensor(w), engine.tensor(b)];
    const added = randomArray(s.n * s.o * oh * ow, 8);
    const residual = engine.tensor(added);
    poison(engine, [slices * s.n * s.o * oh * ow]);
    const out = engine.empty([s.n, s.o, oh, ow]);
    const sums = engine.empty([slices, s.n, s.o, oh, ow]);
    const packed = engine.empty([taps, s.o, 4 * Math.ceil(s.c / 4)]);
    // Sixteen of k at a time (EMULATION): in four slices of whole ones.
    const slice = 16 * Math.ceil((taps * Math.ceil(s.c / 16)) / slices);
    const params = { ...s, oh, ow, padY: s.padding, padX: s.padding, biased: 1, added: 1, slice, slices };
    const constants = { KH: s.kh, KW: s.kw, STRIDE: s.stride, ...size, Y: "f32" };
    pack(engine.device, { input: weights, packing: packed }, params, constants);
    forward(
      engine.device,
      { input, packed, bias, residual, out: slices > 1 ? sums : out },
      params,
      constants,
    );
    const n = s.n * s.o * oh * ow;
    if (slices > 1)
      sumSlices(
        engine.device,
        { input: sums, bias, residual, out },
        { n, rows: s.o, inner: oh * ow, slices },
      );
    const [x64, w64, b64] = [Float64Array.from(x), Float64Array.from(w), Float64Array.from(b)];
    const want = convolve(x64, w64, b64, s).map((v, i) => v + (added[i] as number));
    expect(relativeError(await out.read(), want)).toBeLessThan(2e-6);
    for (const t of [residual, input, weights, bias, out, sums, packed]) t.dispose();
  });
});
