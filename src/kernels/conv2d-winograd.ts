// 3x3 convolutions of stride 1 and padding 1 on software adapters: Winograd F(4x4, 3x3), a quarter of the multiplications. 4 images of
// side 32, 64 to 64 channels, on lavapipe: 5.4 to 8.2 ms for the three computations (`product` 15 to 22, `base` 48 to 52). Large
// batches and images go in bands of tile rows, so that workspaces stay bindable and in the caches: 256 to 256 channels at side 256
// take 0.6 to 1.1 s on lavapipe (`base`, which they fell to without bands, some 25 at its 3 GFLOP/s), 64 to 64 there 0.1 s (whole images 0.14 s).
import type { Device } from "../gpu/device.ts";
import { matrices, multiply, tileRows } from "./conv2d-product.ts";
import {
  fits,
  parts,
  quads,
  type ConvShape,
  type ForwardBuffers,
  type InputGradientBuffers,
  type WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { defineKernel, storedAs, type HasBuffer } from "./kernel.ts";
import { each, type Values } from "./shader.ts";
import { broadcasts } from "./variant.ts";
import { withDerived, withWorkspace } from "./workspace.ts";
import * as wgsl from "./wgsl.gen.ts";

const overTiles = (values: readonly Values[]) => ({
  grid: ({ padded, c }: { padded: number; c: number }) => [Math.ceil(padded / 32), c],
  values,
});
const [anyInput, anyOutput, floats] = [each("X", "f32", "f16"), each("Y", "f32", "f16"), [{}]];
const inputTransform = defineKernel(wgsl.conv2dWinograd, "inputTransform", overTiles(anyInput));
const inputTransformRagged = defineKernel(wgsl.conv2dWinograd, "inputTransformRagged", overTiles(anyInput));
const gradientTransform = defineKernel(wgsl.conv2dWinograd, "gradientTransform", overTiles(floats));
const gradientTransformRagged = defineKernel(
  wgsl.conv2dWinograd,
  "gradientTransformRagged",
  overTiles(floats),
);
const outputTransform = defineKernel(wgsl.conv2dWinograd, "outputTransform", overTiles(anyOutput));
const outputTransformRagged = defineKernel(
  wgsl.conv2dWinograd,
  "outputTransformRagged",
  overTiles(anyOutput),
);
const weightTransform = defineKernel(wgsl.conv2dWinogradWeights, "weightTransform", {
  grid: ({ rows, depth }) => [Math.ceil((4 * quads(depth)) / 32), rows],
  values: anyInput,
});
const weightInverse = defineKernel(wgsl.conv2dWinogradWeights, "weightInverse", {
  grid: ({ rows, depth }) => [Math.ceil(depth / 32), rows],
  values: floats,
});

const TILES_SUMMED = 512;

interface Plane {
  readonly h: number;
  readonly w: number;
}
const tilesX = ({ w }: Plane): number => Math.ceil(w / 4);
const tilesY = ({ h }: Plane): number => Math.ceil(h / 4);
/** Bytes that one row of tiles of c channels takes in the transformed domain. */
const bytesOf = (s: Plane, c: number): number => 36 * 4 * (c + 3) * (tilesX(s) + 3);
/** The work in parts of whole rows of tiles, of one image or of several, that fill the lanes: the first row and how many. */
function bands(
  device: Device,
  s: Plane & { n: number },
  channels: number,
  most?: number,
): [number, number][] {
  const lanes = 4 * device.subgroupSize;
  // The largest power of two in it.
  const across = tilesX(s) & -tilesX(s);
  return parts(s.n * tilesY(s), bytesOf(s, channels), most, Math.max(1, lanes / across));
}

/** True where the variant serves: the kernel, and workspaces of a row of tiles that can be bound. */
export function canWinograd(device: Device, s: ConvShape): boolean {
  return (
    broadcasts(device) &&
    s.kh === 3 &&
    s.kw === 3 &&
    s.stride === 1 &&
    s.padX === 1 &&
    s.padY === 1 &&
    fits(device, bytesOf(s, Math.max(s.c, s.o))) &&
    fits(device, 36 * 4 * (s.o + 3) * (s.c + 3))
  );
}

interface Layout {
  readonly element: number;
  readonly channel: number;
  readonly tile: number;
}

/** Of `rows` rows of tiles from row `first` of the batch on. */
function transformParams(
  s: Plane,
  c: number,
  first: number,
  rows: number,
  layout: Layout,
  biased = 0,
  added = 0,
) {
  const [across, down] = [tilesX(s), tilesY(s)];
  const tiles = rows * across;
  const sizes = { first, c, h: s.h, w: s.w, tilesX: across, tilesY: down };
  return { ...sizes, tiles, padded: 4 * quads(tiles), ...layout, biased, added, points: 6 };
}

/** Channels as rows, tiles along them. */
const byChannel = (c: number, tiles: number): Layout => ({ element: c * tiles, channel: tiles, tile: 1 });
/** Tiles as rows, channels along them, padded to quads. */
const byTile = (c: number, tiles: number): Layout => ({
  element: 4 * quads(c) * tiles,
  channel: 1,
  tile: 4 * quads(c),
});

interface Weights {
  readonly rows: number;
  readonly depth: number;
  readonly flip: boolean;
  /** Depth as rows and rows along them. */
  readonly turned: boolean;
}

/** Runs `fn` with the weights in the transformed domain: made for this call, or once and kept where they are constant. */
function withTransformedWeights(
  device: Device,
  w: HasBuffer,
  { rows, depth, flip, turned }: Weights,
  fn: (transformed: HasBuffer) => void,
): void {
  const [rowStep, depthStep] = flip ? [9, 9 * rows] : [9 * depth, 9];
  const plain = { rows, depth, rowStep, depthStep };
  const sizes = turned ? { rows: depth, depth: rows, rowStep: depthStep, depthStep: rowStep } : plain;
  const transform = (out: HasBuffer): void =>
    weightTransform(
      device,
      { input: w, out },
      { ...sizes, flip: flip ? 1 : 0, element: 0, points: 6 },
      { X: storedAs(w) },
    );
  const floats = 36 * sizes.rows * 4 * quads(sizes.depth);
  const name = `winograd${flip ? " flipped" : ""}${turned ? " turned" : ""}`;
  withDerived(device, w, { name, floats }, transform, fn);
}

/** Rows and columns that tiles of the product kernel cover, of which only rows·columns are wanted. */
const covered = (device: Device, rows: number, columns: number): number => {
  const tile = tileRows(rows);
  const lanes = 4 * device.subgroupSize;
  return Math.ceil(rows / tile) * tile * Math.ceil(columns / lanes) * lanes;
};

/** out[n,rows,h,w] = the 3x3 convolution of input[n,depth,h,w] with w, taken as [rows][depth], or flipped as [depth][rows]. */
function convolve(
  device: Device,
  { input, w, bias, residual, out }: Omit<ForwardBuffers, "x"> & { input: HasBuffer },
  s: { n: number; h: number; w: number; rows: number; depth: number; flip: boolean },
): void {
  const { rows, depth, flip } = s;
  const aligned = s.w % 4 === 0;
  const batches = bands(device, s, Math.max(rows, depth));
  const most = (batches[0]?.[1] ?? 1) * tilesX(s);
  // Few tiles leave lanes idle along the columns: then tiles are the rows and channels the columns (a UNet's forward pass of one
  // picture of side 32: 37 → 29 ms on lavapipe). Rows of the left operand are read in whole quads, which a depth that is none would
  // have to pad; and weights that change with each call gain nothing, since transforming them this way takes longer.
  const turned =
    w.derived !== undefined && depth % 4 === 0 && covered(device, most, rows) < covered(device, rows, most);
  withTransformedWeights(device, w, { rows, depth, flip, turned }, (weights) => {
    for (const [first, band] of batches) {
      const tiles = band * tilesX(s);
      const t4 = quads(tiles);
      const [k4, r4] = [quads(depth), quads(rows)];
      const layout = turned ? byTile : byChannel;
      const wide = (channels: number): number => 36 * 4 * t4 * (turned ? 4 * quads(channels) : channels);
      withWorkspace(device, wide(depth), "a convolution's transformed input", (values) =>
        withWorkspace(device, wide(rows), "a convolution's transformed output", (products) => {
          const from = transformParams(s, depth, first, band, layout(depth, 4 * t4));
          const x = { X: storedAs(input) };
          if (aligned) inputTransform(device, { input4: input, out: values }, from, x);
          else inputTransformRagged(device, { input, out: values }, from, x);
          multiply(
            device,
            {
              ...(turned ? { left: values, right: weights } : { left: weights, right: values }),
              ...{ bias: null, out: products },
            },
            turned
              ? {
                  ...{ rows: tiles, depth, columns: r4, segments: 36 },
                  ...{ left: matrices(4 * t4, k4), right: matrices(depth, r4), out: matrices(4 * t4, r4) },
                }
              : {
                  ...{ rows, depth, columns: t4, segments: 36 },
                  ...{ left: matrices(rows, k4), right: matrices(depth, t4), out: matrices(rows, t4) },
                },
          );
          const to = transformParams(
            s,
            rows,
            first,
            band,
            layout(rows, 4 * t4),
            bias ? 1 : 0,
            residual ? 1 : 0,
          );
          const y = { Y: storedAs(out) };
          if (aligned)
            outputTransform(device, { input: products, bias, residual4: residual, out4: out }, to, y);
          else outputTransformRagged(device, { input: products, bias, residual, out }, to, y);
        }),
      );
    }
  });
}

export function winogradForward(
  device: Device,
  { x, w, bias, residual, out }: ForwardBuffers,
  s: ConvShape,
): void {
  convolve(
    device,
    { input: x, w, bias, residual, out },
    { n: s.n, h: s.h, w: s.w, rows: s.o, depth: s.c, flip: false },
  );
}

export function winogradInputGradient(
  device: Device,
  { dy, w, bias, out }: InputGradientBuffers,
  s: ConvShape,
): void {
  convolve(
    device,
    { input: dy, w, bias, residual: null, out },
    { n: s.n, h: s.h, w: s.w, rows: s.c, depth: s.o, flip: true },
  );
}

export function winogradWeightGradient(
  device: Device,
  { x, dy, out }: WeightGradientBuffers,
  s: ConvShape,
): void {
  // Either operand may give the rows; few channels fill the rows' tiles better than the columns'.
  const inputRows = covered(device, s.c, s.o) < covered(device, s.o, s.c);
  const [rows, columns] = inputRows ? [s.c, s.o] : [s.o, s.c];
  const c4 = quads(columns);
  // Long sums lose digits: the tiles of a part are summed apart, the parts afterwards.
  const most = Math.ceil(TILES_SUMMED / tilesX(s));
  const aligned = s.w % 4 === 0;
  withWorkspace(device, 36 * rows * 4 * c4, "a convolution's transformed weight gradient", (space) => {
    for (const [first, band] of bands(device, s, Math.max(s.c, s.o), most)) {
      const tiles = band * tilesX(s);
      const t4 = quads(tiles);
      withWorkspace(device, 36 * rows * 4 * t4, "a convolution's transformed rows", (left) =>
        withWorkspace(device, 36 * 4 * c4 * 4 * t4, "a convolution's transformed columns", (right) => {
          const [rowLayout, columnLayout] = [byChannel(rows, 4 * t4), byTile(columns, 4 * t4)];
          const from = transformParams(s, s.c, first, band, inputRows ? rowLayout : columnLayout);
          const to = transformParams(s, s.o, first, band, inputRows ? columnLayout : rowLayout);
          const [xSpace, dySpace] = inputRows ? [left, right] : [right, left];
          if (aligned) {
            inputTransform(device, { input4: x, out: xSpace }, from, { X: "f32" });
            gradientTransform(device, { input4: dy, out: dySpace }, to);
          } else {
            inputTransformRagged(device, { input: x, out: xSpace }, from, { X: "f32" });
            gradientTransformRagged(device, { input: dy, out: dySpace }, to);
          }
          multiply(
            device,
            { left, right, bias: null, out: space },
            {
              ...{ rows, depth: tiles, columns: c4, segments: 36 },
              ...{ left: matrices(rows, t4), right: matrices(4 * t4, c4), out: matrices(rows, c4) },
            },
            first > 0,
          );
        }),
      );
    }
    const [rowStep, depthStep] = inputRows ? [1, 4 * c4] : [4 * c4, 1];
    weightInverse(
      device,
      { input: space, out },
      { rows: s.o, depth: s.c, rowStep, depthStep, flip: 0, element: rows * 4 * c4, points: 6 },
    );
  });
}
