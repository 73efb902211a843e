// Matrix products: where the operands lie, which variant runs, how its tile is chosen. On lavapipe 1024 x 1024 x 1024 takes 95 ms as
// `subgroup` and 415 as `base`; what `small` saves is compile time (shaders/matmul.small.wgsl).
import type { Device } from "../gpu/device.ts";
import { defineKernel, MAX_GROUPS, storedAs, storedInFours, type HasBuffer } from "./kernel.ts";
import { matrixSizes, matrixValues } from "./matrix.ts";
import { combine, each, type Values } from "./shader.ts";
import { broadcasts, countClass, defineVariants, halfName, LANES, type Variant } from "./variant.ts";
import * as wgsl from "./wgsl.gen.ts";

/**
 * Where the matrices of one operand lie, in elements: line i of matrix (outer, inner), summand s starts at
 * start + outer·outerStride + inner·innerStride + s·sumStride + i·line.
 */
export interface Place {
  readonly line: number;
  readonly start?: number;
  readonly outer?: number;
  readonly inner?: number;
  readonly sum?: number;
}

/** C[o,i] (+)= Σ_s op(A[o,i,s])·op(B[o,i,s]) (+ bias[n]); op(A) is m×k, op(B) k×n. */
export interface Product {
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly transposeA?: boolean;
  readonly transposeB?: boolean;
  /** Matrices: `outer` times `inner`, each 1 if absent. */
  readonly outer?: number;
  readonly inner?: number;
  /** Summands of each. */
  readonly sum?: number;
  readonly a: Place;
  readonly b: Place;
  readonly c: Place;
  /** Adds to what C holds. */
  readonly accumulate?: boolean;
}

export interface ProductBuffers {
  readonly a: HasBuffer;
  readonly b: HasBuffer;
  readonly c: HasBuffer;
  readonly bias?: HasBuffer | null;
}

type Sizes = { m: number; n: number; count: number };
const size = (values: Values, name: string): number => Number(values[name]);
const flags = combine(
  each("TA", 0, 1),
  each("TB", 0, 1),
  each("BIAS", 0, 1),
  each("ACC", 0, 1),
  ["f32", "f16"].flatMap((one) => {
    const four = one === "f32" ? "vec4f" : "vec4h";
    return combine(
      [
        { AV: 1, AT: four },
        { AV: 0, AT: one },
      ],
      [
        { BV: 1, BT: four },
        { BV: 0, BT: one },
      ],
      [
        { CV: 1, CT: four },
        { CV: 0, CT: one },
      ],
    );
  }),
);
const base = defineKernel(wgsl.matmul, "main", {
  values: flags,
  grid: ({ m, n, count }: Sizes) => [Math.ceil(n / 64), Math.ceil(m / 64), count],
});
const subgroup = defineKernel(wgsl.matmulSubgroup, "main", {
  values: combine(
    LANES.flatMap((SG) => [...new Set([16, Math.max(SG, 8), Math.max(SG, 4)])].map((TM) => ({ SG, TM }))),
    each("KF", 0, 1),
    flags,
  ),
  grid: ({ m, n, count }: Sizes, v) => [
    Math.ceil(n / (4 * size(v, "SG"))),
    Math.ceil(m / size(v, "TM")),
    count,
  ],
});

const matrix = defineKernel(wgsl.matmulMatrix, "main", {
  values: combine(
    matrixValues,
    each("TA", 0, 1),
    each("TB", 0, 1),
    each("BIAS", 0, 1),
    each("ACC", 0, 1),
    [{ AV: 0, BV: 0, CV: 0, AT: "f16", BT: "f16" }],
    each("CT", "f32", "f16"),
  ),
  grid: ({ m, n, count }: Sizes) => [Math.ceil(n / 64), Math.ceil(m / 64), count],
});

const smallForms = [
  { MODE: 0, AT: "f32", BT: "f32" },
  { MODE: 1, AT: "f32", BT: "vec4f" },
  { MODE: 2, AT: "vec4f", BT: "vec4f" },
] as const;
const small = defineKernel(wgsl.matmulSmall, "main", {
  values: smallForms,
  grid: ({ m, n, count }) => [Math.ceil(n / 128), Math.ceil(m / 4), count],
});
/** Multiplications below which a product is small. */
const SMALL = 2 ** 18;

const matrixCount = ({ outer = 1, inner = 1 }: Product): number => outer * inner;

/** A product, and which of its operands are f16. */
interface Problem extends Product {
  readonly halves: { readonly a: boolean; readonly b: boolean; readonly c: boolean };
}
const variants: readonly Variant<Problem>[] = [
  {
    name: "matrix",
    can: (device, { halves, sum }) => halves.a && halves.b && (sum ?? 1) === 1 && device.matrix !== null,
  },
  {
    name: "small",
    can: (_, { halves, m }) => !halves.a && !halves.b && !halves.c && m <= 4 * 65535,
    wins: (device, p) => device.software && p.m * p.n * p.k * (p.sum ?? 1) * matrixCount(p) <= SMALL,
  },
  { name: "subgroup", can: broadcasts },
  { name: "base" },
];
const nameOf = (p: Problem, device: Device): string => {
  const { a, b, c } = p.halves;
  const stored = a || b || c ? ` ${halfName(device)}:${a ? "a" : ""}${b ? "b" : ""}${c ? "c" : ""}` : "";
  const turned = `${p.transposeA ? " at" : ""}${p.transposeB ? " bt" : ""}`;
  return `${p.m}x${p.n}x${p.k}${turned} n${countClass(matrixCount(p))} s${countClass(p.sum ?? 1)}${stored}`;
};
const pick = defineVariants("matmul", variants, nameOf);

const aligned = (place: Place, length: number): boolean =>
  [length, place.line, place.start, place.outer, place.inner, place.sum].every((v) => (v ?? 0) % 4 === 0);

/** Rows or columns of one launch: 65535 tiles of the smallest, in whole 256 bytes of bias. */
const LINES = 2 ** 20 - 64;

/** First and count of the pieces of a length, at most `most` each. */
const pieces = (length: number, most: number): [number, number][] =>
  Array.from({ length: Math.ceil(length / most) }, (_, i) => [i * most, Math.min(most, length - i * most)]);

/** Records the product; what a grid does not hold by several launches. */
export function matmulKernel(device: Device, buffers: ProductBuffers, product: Product): void {
  const { m, n, outer = 1, inner = 1, a, b, c, transposeA, transposeB } = product;
  const { bias } = buffers;
  const moved = (place: Place, by: number): Place => ({ ...place, start: (place.start ?? 0) + by });
  const matrices = (place: Place, o: number, i: number): number =>
    o * (place.outer ?? 0) + i * (place.inner ?? 0);
  for (const [i, inners] of pieces(inner, MAX_GROUPS))
    for (const [o, outers] of pieces(outer, Math.floor(MAX_GROUPS / inners)))
      for (const [row, rows] of pieces(m, LINES))
        for (const [column, columns] of pieces(n, LINES)) {
          const offset = (bias?.offset ?? 0) + 4 * column;
          const own =
            bias && column > 0 ? { buffer: bias.buffer, offset, bytes: 16 * Math.ceil(columns / 4) } : bias;
          launch(
            device,
            { ...buffers, bias: own ?? null },
            {
              ...product,
              ...{ m: rows, n: columns, outer: outers, inner: inners },
              a: moved(a, matrices(a, o, i) + row * (transposeA ? 1 : a.line)),
              b: moved(b, matrices(b, o, i) + column * (transposeB ? b.line : 1)),
              c: moved(c, matrices(c, o, i) + row * c.line + column),
            },
          );
        }
}

function launch(device: Device, buffers: ProductBuffers, product: Product): void {
  const { m, n, k, a, b, c } = product;
  const [ta, tb] = [product.transposeA ?? false, product.transposeB ?? false];
  const [av, bv, cv] = [aligned(a, ta ? m : k), aligned(b, tb ? k : n), aligned(c, n)];
  const type = (b: HasBuffer, vectors: boolean): string => (vectors ? storedInFours(b) : storedAs(b));
  const values: Values = {
    TA: Number(ta),
    TB: Number(tb),
    AV: Number(av),
    BV: Number(bv),
    CV: Number(cv),
    BIAS: Number(buffers.bias !== undefined && buffers.bias !== null),
    ACC: Number(product.accumulate ?? false),
    AT: type(buffers.a, av),
    BT: type(buffers.b, bv),
    CT: type(buffers.c, cv),
  };
  const params = {
    m,
    n,
    k,
    sum: product.sum ?? 1,
    inner: product.inner ?? 1,
    count: matrixCount(product),
    a_start: a.start ?? 0,
    a_line: a.line,
    a_outer: a.outer ?? 0,
    a_inner: a.inner ?? 0,
    a_sum: a.sum ?? 0,
    b_start: b.start ?? 0,
    b_line: b.line,
    b_outer: b.outer ?? 0,
    b_inner: b.inner ?? 0,
    b_sum: b.sum ?? 0,
    c_start: c.start ?? 0,
    c_line: c.line,
    c_outer: c.outer ?? 0,
    c_inner: c.inner ?? 0,
  };
  const bound = { a: buffers.a, b: buffers.b, c: buffers.c, bias: buffers.bias ?? null };
  const half = (b: HasBuffer): boolean => b.half ?? false;
  const halves = { a: half(buffers.a), b: half(buffers.b), c: half(buffers.c) };
  const { name } = pick(device, { ...product, halves });
  if (name === "matrix") {
    const scalars = { AV: 0, BV: 0, CV: 0, AT: "f16", BT: "f16", CT: storedAs(buffers.c) };
    matrix(device, bound, params, { ...values, ...scalars, ...matrixSizes(device) });
  } else if (name === "small") {
    const strides = {
      ...(ta ? { a_row: 1, a_k: a.line } : { a_row: a.line, a_k: 1 }),
      ...(tb ? { b_k: 1, b_column: b.line } : { b_k: b.line, b_column: 1 }),
      biased: Number(values["BIAS"]),
      accumulate: Number(values["ACC"]),
    };
    const alongK = tb && !ta && av && bv;
    small(device, bound, { ...params, ...strides }, smallForms[alongK ? 2 : !tb && bv ? 1 : 0]);
  } else if (name === "subgroup") {
    const SG = device.subgroupSize;
    const TM = m > 8 ? 16 : Math.max(SG, m > 4 ? 8 : 4);
    subgroup(device, bound, params, { ...values, SG, TM, KF: Number(k % 4 === 0) });
  } else base(device, bound, params, values);
}
