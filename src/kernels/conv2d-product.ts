// Convolution on software adapters by one matrix product that shares operands inside a subgroup: 1x1 directly, everything
// else through its unfolded columns. Rows of operands are whole quads (vec4s); where a plane or a row is not, a copy is padded.
import type { Device } from "../gpu/device.ts";
import { windows } from "./conv2d-base.ts";
import {
  fits,
  parts,
  quads,
  withWorkspace,
  type ConvShape,
  type ForwardBuffers,
  type InputGradientBuffers,
  type WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { defineKernel, grid1d, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

interface ProductSizes {
  /** Quads of columns in all, and of one image. */
  columns: number;
  perImage: number;
  rows: number;
  depth: number;
  segments: number;
  per: number;
  leftRow: number;
  leftSegment?: number;
  leftStart?: number;
  rightRow: number;
  rightSegment?: number;
  rightImage?: number;
  rightStart?: number;
  outRow: number;
  outSlice?: number;
  outImage?: number;
  outStart?: number;
}

const subgroups = [4, 8, 16];
const everyTile = subgroups.flatMap((SG) =>
  [4, 8, 16].map((tile) => ({ SG, ROWS: Math.min(SG, tile), BLOCKS: tile / Math.min(SG, tile) })),
);
const productKernel = defineKernel(wgsl.conv2dProduct, "product", {
  values: combine(everyTile, each("COLS", 1, 2), each("BIAS", 0, 1), each("ADD", 0, 1)),
  grid: (p: { columns: number; rows: number; segments: number; per: number }, v) => [
    Math.ceil(p.columns / (Number(v["SG"]) * Number(v["COLS"]))),
    Math.ceil(p.rows / (Number(v["BLOCKS"]) * Number(v["ROWS"]))),
    Math.ceil(p.segments / p.per),
  ],
});
const sumChannel = defineKernel(wgsl.conv2dProduct, "sumChannel", {
  grid: ({ rows }) => [rows],
  values: each("SG", ...subgroups),
});
const copyRowsKernel = defineKernel(wgsl.conv2dRows, "copyRows", {
  grid: ({ rows, outPitch }) => grid1d(rows * outPitch, 64),
});
const sumSlices = defineKernel(wgsl.conv2dRows, "sumSlices", {
  grid: ({ rows, outPitch }) => grid1d(rows * outPitch, 64),
});
const unfold = defineKernel(wgsl.conv2dUnfold, "unfold", {
  values: windows,
  grid: (p, v) => [Math.ceil((p.n * quads(p.oh * p.ow)) / 64), p.c * Number(v["KH"]) * Number(v["KW"])],
});
const unfoldLast = defineKernel(wgsl.conv2dUnfold, "unfoldLast", {
  values: windows,
  grid: (p, v) => [Math.ceil((p.n * p.oh * p.ow) / 64), quads(p.c * Number(v["KH"]) * Number(v["KW"]))],
});
const fold = defineKernel(wgsl.conv2dUnfold, "fold", {
  values: windows,
  grid: (p) => [Math.ceil((p.n * p.h * p.w) / 64), p.c],
});

/** Where a broadcast is dear (SwiftShader: subgroups of 4), each feeds two vec4s, as long as there are columns enough. */
const columnsOf = (device: Device, { columns }: ProductSizes): number =>
  device.subgroupSize === 4 && columns >= 16 ? 2 : 1;

/** The product kernel, its tile chosen by the number of rows: at most 16, since compile time grows with the tile. `add`: onto out. */
export function product(
  device: Device,
  buffers: { left: HasBuffer; right: HasBuffer; bias: HasBuffer | null; out: HasBuffer },
  sizes: ProductSizes,
  add = false,
): void {
  const tile = sizes.rows <= 4 ? 4 : sizes.rows <= 8 ? 8 : 16;
  const SG = device.subgroupSize;
  const ROWS = Math.min(SG, tile);
  const zeros = {
    leftSegment: 0,
    leftStart: 0,
    rightSegment: 0,
    rightImage: 0,
    rightStart: 0,
    outSlice: 0,
    outImage: 0,
    outStart: 0,
  };
  productKernel(
    device,
    buffers,
    { ...zeros, ...sizes },
    {
      SG,
      ROWS,
      BLOCKS: tile / ROWS,
      COLS: columnsOf(device, sizes),
      BIAS: buffers.bias ? 1 : 0,
      ADD: add ? 1 : 0,
    },
  );
}

/** True where the product variants run: a CPU whose subgroups hold a vec4 of rows at least. */
export function canMultiply(device: Device): boolean {
  return device.software && subgroups.includes(device.subgroupSize);
}

/** True where the unfolded columns of one image can be bound. */
export function canUnfold(device: Device, s: ConvShape): boolean {
  const k = s.c * s.kh * s.kw;
  return canMultiply(device) && fits(device, 4 * quads(k) * 16 * quads(s.oh * s.ow)) && k < 65536;
}

/** Padded copy of rows when `width` is not whole quads, else the rows themselves. */
function wholeQuads(
  device: Device,
  from: HasBuffer,
  rows: number,
  width: number,
  fn: (padded: HasBuffer) => void,
): void {
  if (width % 4 === 0) return fn(from);
  const outPitch = 4 * quads(width);
  withWorkspace(device, rows * outPitch, "padded rows", (out) => {
    copyRowsKernel(
      device,
      { input: from, out },
      { rows, width, inPitch: width, outPitch, step: 1, slices: 1 },
    );
    fn(out);
  });
}

/** `fn` writes rows padded to quads, which end up in `to`. */
function cutQuads(
  device: Device,
  to: HasBuffer,
  rows: number,
  width: number,
  fn: (padded: HasBuffer) => void,
): void {
  if (width % 4 === 0) return fn(to);
  const inPitch = 4 * quads(width);
  withWorkspace(device, rows * inPitch, "padded rows", (space) => {
    fn(space);
    copyRowsKernel(
      device,
      { input: space, out: to },
      { rows, width, inPitch, outPitch: width, step: 1, slices: 1 },
    );
  });
}

/** w[o][k] transposed to [k][o], o padded to quads. */
function transposed(
  device: Device,
  w: HasBuffer,
  o: number,
  k: number,
  fn: (packed: HasBuffer) => void,
): void {
  withWorkspace(device, k * 4 * quads(o), "transposed weights", (out) => {
    copyRowsKernel(
      device,
      { input: w, out },
      { rows: k, width: o, inPitch: 1, outPitch: 4 * quads(o), step: k, slices: 1 },
    );
    fn(out);
  });
}

const pointwise = (s: ConvShape): boolean =>
  s.kh === 1 && s.kw === 1 && s.stride === 1 && s.padX === 0 && s.padY === 0;
const unfoldValues = (s: ConvShape) => ({ KH: s.kh, KW: s.kw, STRIDE: s.stride });
const unfoldParams = (s: ConvShape, first: number, n: number, biased = 0) => {
  const { c, h, w, oh, ow, padY, padX } = s;
  return { first, n, c, h, w, oh, ow, padY, padX, biased };
};

export function productForward(device: Device, { x, w, bias, out }: ForwardBuffers, s: ConvShape): void {
  const depth = s.c * s.kh * s.kw;
  const plane = s.oh * s.ow;
  const q = quads(plane);
  wholeQuads(device, w, s.o, depth, (left) =>
    cutQuads(device, out, s.n * s.o, plane, (to) => {
      const sizes = {
        perImage: q,
        rows: s.o,
        depth,
        segments: 1,
        per: 1,
        leftRow: quads(depth),
        outRow: q,
        outImage: s.o * q,
      };
      if (pointwise(s))
        return wholeQuads(device, x, s.n * s.c, plane, (right) =>
          product(
            device,
            { left, right, bias, out: to },
            { ...sizes, columns: s.n * q, rightRow: q, rightImage: s.c * q },
          ),
        );
      for (const [first, n] of parts(s.n, 16 * depth * q))
        withWorkspace(device, 4 * depth * n * q, "columns", (right) => {
          unfold(device, { input: x, out4: right }, unfoldParams(s, first, n), unfoldValues(s));
          product(
            device,
            { left, right, bias, out: to },
            { ...sizes, columns: n * q, rightRow: n * q, rightImage: q, outStart: first * s.o * q },
          );
        });
    }),
  );
}

export function productInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  const rows = s.c * s.kh * s.kw;
  const plane = s.oh * s.ow;
  const q = quads(plane);
  transposed(device, w, s.o, rows, (left) =>
    wholeQuads(device, dy, s.n * s.o, plane, (right) => {
      const sizes = {
        perImage: q,
        rows,
        depth: s.o,
        segments: 1,
        per: 1,
        leftRow: quads(s.o),
        rightRow: q,
        rightImage: s.o * q,
      };
      if (pointwise(s))
        return cutQuads(device, out, s.n * s.c, plane, (to) =>
          product(
            device,
            { left, right, bias, out: to },
            { ...sizes, columns: s.n * q, outRow: q, outImage: s.c * q },
          ),
        );
      for (const [first, n] of parts(s.n, 16 * rows * q))
        withWorkspace(device, 4 * rows * n * q, "columns", (columns) => {
          product(
            device,
            { left, right, bias: null, out: columns },
            { ...sizes, columns: n * q, rightStart: first * s.o * q, outRow: n * q, outImage: q },
          );
          fold(
            device,
            { input: columns, bias, out },
            unfoldParams(s, first, n, bias ? 1 : 0),
            unfoldValues(s),
          );
        });
    }),
  );
}

export function productWeightGradient(
  device: Device,
  { x, dy, out }: WeightGradientBuffers,
  s: ConvShape,
): void {
  const depth = s.c * s.kh * s.kw;
  const plane = s.oh * s.ow;
  const [q, k4] = [quads(plane), quads(depth)];
  // Long sums lose digits: slices of some 4096 products each are added up afterwards. Parts of the batch share the slices.
  const per = Math.max(1, Math.floor(4096 / plane));
  const list = parts(s.n, 16 * k4 * plane);
  const slices = Math.ceil((list[0]?.[1] ?? 1) / per);
  wholeQuads(device, dy, s.n * s.o, plane, (left) =>
    withWorkspace(device, slices * s.o * 4 * k4, "slices of the weight gradient", (space) => {
      for (const [first, n] of list)
        withWorkspace(device, 4 * k4 * n * plane, "columns", (right) => {
          unfoldLast(device, { input: x, out4: right }, unfoldParams(s, first, n), unfoldValues(s));
          product(
            device,
            { left, right, bias: null, out: space },
            {
              columns: k4,
              perImage: k4,
              rows: s.o,
              depth: plane,
              segments: n,
              per,
              leftRow: q,
              leftSegment: s.o * q,
              leftStart: first * s.o * q,
              rightRow: k4,
              rightSegment: plane * k4,
              outRow: k4,
              outSlice: s.o * k4,
            },
            first > 0,
          );
        });
      sumSlices(
        device,
        { input: space, out },
        { rows: s.o, width: depth, inPitch: 4 * k4, outPitch: depth, step: 1, slices },
      );
    }),
  );
}

export function productBiasGradient(
  device: Device,
  { dy, out }: { dy: HasBuffer; out: HasBuffer },
  { n, o, plane }: { n: number; o: number; plane: number },
): void {
  const sizes = { columns: 1, perImage: 1, per: 1, leftRow: 0, rightRow: 0, outRow: 0 };
  const zeros = {
    leftSegment: 0,
    leftStart: 0,
    rightSegment: 0,
    rightImage: 0,
    rightStart: 0,
    outSlice: 0,
    outImage: 0,
    outStart: 0,
  };
  sumChannel(
    device,
    { left: dy, sums: out },
    { ...sizes, ...zeros, rows: o, depth: plane, segments: n },
    { SG: device.subgroupSize },
  );
}
