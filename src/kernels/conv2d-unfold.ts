// Convolution on software adapters by one matrix product: of a 1x1's images as they are, of anything else's unfolded columns.
// On lavapipe 1x1, 128 to 384 channels, 4 images of side 16: 3.9 to 4.3 ms for the three computations (base 25 to 26); 3x3, 64 to 64
// channels, side 32: 15 to 22 ms (base 70 to 95).
import type { Device } from "../gpu/device.ts";
import { matrices, multiply, type Matrices } from "./conv2d-product.ts";
import { cutQuads, sumSlices, transposed, wholeQuads } from "./conv2d-rows.ts";
import {
  fits,
  parts,
  quads,
  taps,
  windowOf,
  windows,
  type ConvShape,
  type ForwardBuffers,
  type InputGradientBuffers,
  type WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { defineKernel, storedAs, type HasBuffer } from "./kernel.ts";
import { combine, each } from "./shader.ts";
import { broadcasts } from "./variant.ts";
import { withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const unfold = defineKernel(wgsl.conv2dUnfold, "unfold", {
  values: combine(windows, each("X", "f32", "f16")),
  grid: (p, v) => [Math.ceil((p.n * quads(p.oh * p.ow)) / 64), p.c * taps(v)],
});
const unfoldLast = defineKernel(wgsl.conv2dUnfold, "unfoldLast", {
  values: windows,
  grid: (p, v) => [Math.ceil((p.n * p.oh * p.ow) / 64), quads(p.c * taps(v))],
});
const fold = defineKernel(wgsl.conv2dUnfold, "fold", {
  values: windows,
  grid: (p) => [Math.ceil((p.n * p.h * p.w) / 64), p.c],
});

/** A convolution as a matrix product: c·kh·kw rows of columns, a pixel of the output each; quads of an image's pixels. */
const columnsOf = (s: ConvShape) => {
  const plane = s.oh * s.ow;
  return { depth: s.c * s.kh * s.kw, plane, q: quads(plane) };
};

const isPointwise = (s: ConvShape): boolean =>
  s.kh === 1 && s.kw === 1 && s.stride === 1 && s.padX === 0 && s.padY === 0;

/** True where the columns of one image can be bound: unfolded, or as they lie in a tensor. */
export function canUnfold(device: Device, s: ConvShape & { pass: "forward" | "input" | "weights" }): boolean {
  const { depth, plane, q } = columnsOf(s);
  const asTheyLie = isPointwise(s) && plane % 4 === 0 && s.pass !== "weights";
  return broadcasts(device) && depth < 65536 && (asTheyLie || fits(device, 4 * quads(depth) * 16 * q));
}

/** Images first … first + n - 1 of the batch, and how the columns of these lie. */
interface Part {
  readonly first: number;
  readonly n: number;
  readonly columns: Matrices;
}
const wholeBatch = (s: ConvShape): Part => ({
  first: 0,
  n: s.n,
  columns: matrices(s.c, columnsOf(s).q),
});

/** A workspace for the columns of each part of the batch in turn: those of one image beside those of the next. */
function partByPart(device: Device, s: ConvShape, fn: (space: HasBuffer, part: Part) => void): void {
  const { depth, q } = columnsOf(s);
  for (const [first, n] of parts(s.n, 16 * depth * q))
    withWorkspace(device, 4 * depth * n * q, "a convolution's columns", (space) =>
      fn(space, { first, n, columns: { row: n * q, next: q } }),
    );
}

/** `fn` reads columns of x, part by part: x itself for a 1x1. */
function unfolded(
  device: Device,
  x: HasBuffer,
  s: ConvShape,
  fn: (right: HasBuffer, part: Part) => void,
): void {
  if (isPointwise(s))
    return wholeQuads(device, x, s.n * s.c, columnsOf(s).plane, (right) => fn(right, wholeBatch(s)));
  partByPart(device, s, (right, part) => {
    const values = { ...windowOf(s), X: storedAs(x) };
    unfold(device, { input: x, out4: right }, { ...s, ...part, biased: 0 }, values);
    fn(right, part);
  });
}

/** `fn` writes columns, part by part, which are folded onto out, with the bias: out itself for a 1x1, whose bias is left to `fn`. */
function folded(
  device: Device,
  { bias, out }: { bias: HasBuffer | null; out: HasBuffer },
  s: ConvShape,
  fn: (to: HasBuffer, part: Part, bias: HasBuffer | null) => void,
): void {
  if (isPointwise(s))
    return cutQuads(device, out, s.n * s.c, columnsOf(s).plane, (to) => fn(to, wholeBatch(s), bias));
  partByPart(device, s, (input, part) => {
    fn(input, part, null);
    fold(device, { input, bias, out }, { ...s, ...part, biased: bias ? 1 : 0 }, windowOf(s));
  });
}

export function productForward(device: Device, { x, w, bias, out }: ForwardBuffers, s: ConvShape): void {
  const { depth, plane, q } = columnsOf(s);
  wholeQuads(device, w, s.o, depth, (left) =>
    cutQuads(device, out, s.n * s.o, plane, (to) =>
      unfolded(device, x, s, (right, { first, n, columns }) =>
        multiply(
          device,
          { left, right, bias, out: to },
          {
            ...{ rows: s.o, depth, columns: n * q, perImage: q },
            ...{ left: matrices(s.o, quads(depth)), right: columns, out: matrices(s.o, q, first) },
          },
        ),
      ),
    ),
  );
}

export function productInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  const { depth: rows, plane, q } = columnsOf(s);
  transposed(device, w, s.o, rows, (left) =>
    wholeQuads(device, dy, s.n * s.o, plane, (right) =>
      folded(device, { bias, out }, s, (to, { first, n, columns }, added) =>
        multiply(
          device,
          { left, right, bias: added, out: to },
          {
            ...{ rows, depth: s.o, columns: n * q, perImage: q },
            ...{ left: matrices(rows, quads(s.o)), right: matrices(s.o, q, first), out: columns },
          },
        ),
      ),
    ),
  );
}

export function productWeightGradient(
  device: Device,
  { x, dy, out }: WeightGradientBuffers,
  s: ConvShape,
): void {
  const { depth, plane, q } = columnsOf(s);
  const k4 = quads(depth);
  // Long sums lose digits: slices of some 4096 products each are added up afterwards. Parts of the batch share the slices.
  const per = Math.max(1, Math.floor(4096 / plane));
  const list = parts(s.n, 16 * k4 * plane);
  const slices = Math.ceil((list[0]?.[1] ?? 1) / per);
  wholeQuads(device, dy, s.n * s.o, plane, (left) =>
    withWorkspace(device, slices * s.o * 4 * k4, "a convolution's slices of the weight gradient", (space) => {
      for (const [first, n] of list)
        withWorkspace(device, 4 * k4 * n * plane, "a convolution's columns", (right) => {
          unfoldLast(device, { input: x, out4: right }, { ...s, first, n, biased: 0 }, windowOf(s));
          multiply(
            device,
            { left, right, bias: null, out: space },
            {
              ...{ rows: s.o, depth: plane, columns: k4, segments: n, per },
              ...{ left: matrices(s.o, q, first), right: matrices(plane, k4), out: matrices(s.o, k4) },
            },
            first > 0,
          );
        });
      sumSlices(device, { input: space, out }, s.o, depth, slices);
    }),
  );
}
