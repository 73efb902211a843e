// How a measurement lies on its image: what decides whether a larger picture can be restored in tiles.

/** Sizes along one side; `scale` pixels of the image stand for one of the measurement. */
export interface Footprint {
  readonly scale: number;
  /** Pixels of the image that a pixel of the measurement depends on beyond its own; Infinity: it may depend on all, so no tiles. */
  readonly halo: number;
  /** Where an image is measured in tiles, they begin at multiples of so many pixels. */
  readonly block: number;
  /** Rows and columns by which the image exceeds `scale` times the measurement. */
  readonly lost: readonly [rows: number, columns: number];
}

/** Each pixel of the measurement depends on the same pixel of the image alone. */
export const pixelwise: Footprint = { scale: 1, halo: 0, block: 1, lost: [0, 0] };

/** The footprint of operators applied one after the other, the first to the image. */
export function joined(parts: readonly Footprint[]): Footprint {
  return parts.reduce(
    (a, b) => ({
      scale: a.scale * b.scale,
      halo: a.halo + a.scale * b.halo,
      block: leastCommonMultiple(a.block, a.scale * b.block),
      lost: [a.lost[0] + a.scale * b.lost[0], a.lost[1] + a.scale * b.lost[1]],
    }),
    pixelwise,
  );
}

function leastCommonMultiple(a: number, b: number): number {
  const divisor = (x: number, y: number): number => (y === 0 ? x : divisor(y, x % y));
  return (a / divisor(a, b)) * b;
}
