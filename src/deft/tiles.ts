// Large pictures in overlapping tiles: where they begin, and how they become one picture again. On the host, in float64.
import type { Footprint } from "./footprint.ts";

/** Tiles along one axis: where each begins, and the weight of each of its pixels. At every pixel the weights sum to one. */
export interface TileAxis {
  readonly starts: readonly number[];
  readonly weights: readonly Float64Array[];
}

/** Tiles of `side` × `side` over a picture, numbered row by row. */
export interface TilePlan {
  readonly side: number;
  readonly height: number;
  readonly width: number;
  readonly rows: TileAxis;
  readonly columns: TileAxis;
  readonly count: number;
}

/** The overlap that tiles share at least, as a part of their side. */
const OVERLAP = 1 / 4;
/** The part of the side along an inner border that is not used: there a prior draws the end of its pictures. */
const MARGIN = 1 / 16;
/** Pixels over which one tile passes into the next at least. */
const LEAST_RAMP = 2;

/** Pixels along an inner border that count nothing: the margin, or the halo, whose measurement depends on pixels outside. */
const insetOf = (side: number, halo: number): number => Math.max(halo, Math.floor(MARGIN * side));

/**
 * Pixels from tile to tile: a multiple of the block, such that a quarter of the side overlaps, or more where the halo asks for it.
 * Null where tiles of this side cannot be measured by themselves.
 */
export function tileStride(side: number, { halo, block }: Footprint): number | null {
  if (!Number.isFinite(halo) || side % block !== 0) return null;
  const overlap = Math.max(Math.ceil(OVERLAP * side), 2 * insetOf(side, halo) + LEAST_RAMP);
  const stride = Math.floor((side - overlap) / block) * block;
  return stride > 0 ? stride : null;
}

/** Whether an image of this length is one tile, or can be cut into several. */
export function canTile(length: number, side: number, footprint: Footprint): boolean {
  if (length === side) return true;
  return length > side && length % footprint.block === 0 && tileStride(side, footprint) !== null;
}

/** Throws RangeError unless `canTile` holds for both sides. */
export function planTiles(height: number, width: number, side: number, footprint: Footprint): TilePlan {
  const axis = (length: number): TileAxis => {
    if (!canTile(length, side, footprint))
      throw new RangeError(`planTiles: no tiles of side ${side} for a length of ${length}`);
    return tileAxis(length, side, tileStride(side, footprint) ?? side, insetOf(side, footprint.halo));
  };
  const [rows, columns] = [axis(height), axis(width)];
  return { side, height, width, rows, columns, count: rows.starts.length * columns.starts.length };
}

/**
 * Tiles at 0, stride, 2·stride, …; the last is shifted inwards to end with the picture. A tile's weight is 0 over the inset of an inner
 * border, then rises as sin² over the rest of the overlap; at a border of the picture it stays 1. Where more than two tiles meet, the
 * weights are divided by their sum.
 */
function tileAxis(length: number, side: number, stride: number, inset: number): TileAxis {
  const starts: number[] = [];
  for (let start = 0; start + side < length; start += stride) starts.push(start);
  starts.push(length - side);
  const ramp = side - stride - 2 * inset;
  const rise = (d: number): number =>
    d < inset ? 0 : Math.sin((Math.PI / 2) * Math.min(1, (d - inset + 0.5) / ramp)) ** 2;
  const total = new Float64Array(length);
  const weights = starts.map((start, k) => {
    const own = Float64Array.from(
      { length: side },
      (_, i) => (k === 0 ? 1 : rise(i)) * (k === starts.length - 1 ? 1 : rise(side - 1 - i)),
    );
    own.forEach((w, i) => (total[start + i]! += w));
    return own;
  });
  starts.forEach((start, k) => weights[k]!.forEach((w, i, own) => (own[i] = w / total[start + i]!)));
  return { starts, weights };
}

/** Row and column of the first pixel of tile `index`. */
export function tileOrigin({ rows, columns }: TilePlan, index: number): readonly [top: number, left: number] {
  const across = columns.starts.length;
  return [rows.starts[Math.floor(index / across)]!, columns.starts[index % across]!];
}

/** A rectangle of a CHW picture whose rows are `width` long. */
export interface Rectangle {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** The rectangle as CHW. */
export function cut(
  picture: { readonly data: Float32Array; readonly height: number; readonly width: number },
  { top, left, height, width }: Rectangle,
): Float32Array {
  const channels = picture.data.length / (picture.height * picture.width);
  const out = new Float32Array(channels * height * width);
  for (let c = 0; c < channels; c++)
    for (let y = 0; y < height; y++) {
      const from = (c * picture.height + top + y) * picture.width + left;
      out.set(picture.data.subarray(from, from + width), (c * height + y) * width);
    }
  return out;
}

/** Σ of the tiles [channels, side, side] by their weights: the picture, CHW. */
export function blend(plan: TilePlan, channels: number, tiles: readonly Float32Array[]): Float32Array {
  const { side, height, width, rows, columns } = plan;
  const sum = new Float64Array(channels * height * width);
  tiles.forEach((tile, index) => {
    const [top, left] = tileOrigin(plan, index);
    const across = columns.starts.length;
    const [down, right] = [rows.weights[Math.floor(index / across)]!, columns.weights[index % across]!];
    for (let c = 0; c < channels; c++)
      for (let y = 0; y < side; y++)
        for (let x = 0; x < side; x++)
          sum[(c * height + top + y) * width + left + x]! +=
            down[y]! * right[x]! * tile[(c * side + y) * side + x]!;
  });
  return Float32Array.from(sum);
}
