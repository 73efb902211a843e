// Matrix products: where the operands lie, which variant runs, how its tile is chosen.
import type { Device } from "../gpu/device.ts";
import { defineKernel, type HasBuffer } from "./kernel.ts";
import { combine, each, type Values } from "./shader.ts";
import { broadcasts, declareVariants, LANES, pickVariant } from "./variant.ts";
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
  [
    { AV: 1, AT: "vec4f" },
    { AV: 0, AT: "f32" },
  ],
  [
    { BV: 1, BT: "vec4f" },
    { BV: 0, BT: "f32" },
  ],
  [
    { CV: 1, CT: "vec4f" },
    { CV: 0, CT: "f32" },
  ],
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

interface ProductVariant {
  readonly name: string;
  readonly when?: (device: Device, problem: Product) => boolean;
}
const variants: readonly ProductVariant[] = [{ name: "subgroup", when: broadcasts }, { name: "base" }];
declareVariants(
  "matmul",
  variants.map((v) => v.name),
);

const aligned = (place: Place, length: number): boolean =>
  [length, place.line, place.start, place.outer, place.inner, place.sum].every((v) => (v ?? 0) % 4 === 0);

/** Records the product. */
export function matmulKernel(device: Device, buffers: ProductBuffers, product: Product): void {
  const { m, n, k, a, b, c } = product;
  const [ta, tb] = [product.transposeA ?? false, product.transposeB ?? false];
  const [av, bv, cv] = [aligned(a, ta ? m : k), aligned(b, tb ? k : n), aligned(c, n)];
  const type = (vectors: boolean): string => (vectors ? "vec4f" : "f32");
  const values: Values = {
    TA: Number(ta),
    TB: Number(tb),
    AV: Number(av),
    BV: Number(bv),
    CV: Number(cv),
    BIAS: Number(buffers.bias !== undefined && buffers.bias !== null),
    ACC: Number(product.accumulate ?? false),
    AT: type(av),
    BT: type(bv),
    CT: type(cv),
  };
  const params = {
    m,
    n,
    k,
    sum: product.sum ?? 1,
    inner: product.inner ?? 1,
    count: (product.outer ?? 1) * (product.inner ?? 1),
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
  if (pickVariant(device, "matmul", variants, product).name === "subgroup") {
    const SG = device.subgroupSize;
    const TM = m > 8 ? 16 : Math.max(SG, m > 4 ? 8 : 4);
    subgroup(device, bound, params, { ...values, SG, TM, KF: Number(k % 4 === 0) });
  } else base(device, bound, params, values);
}
