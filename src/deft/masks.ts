import { randomStream, type RandomStream } from "./random.ts";

/** Masks by index, each height x width; 1 = kept, 0 = missing. Pure: the same index gives the same mask. */
export interface MaskSource {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  /** How many there are before they begin anew; not stated of masks that are drawn. */
  readonly count?: number;
  mask(index: number): Float32Array;
}

/** The side for which mask sizes in pixels are given. */
const REFERENCE_SIDE = 256;

/**
 * Free-form masks: random strokes of a round brush (Yu et al. 2019) until a share of the picture between
 * `minFraction` and `maxFraction` is missing, 20 to 30 % by default.
 */
export function freeFormMasks({
  height,
  width,
  seed = 0,
  minFraction = 0.2,
  maxFraction = 0.3,
}: {
  height: number;
  width: number;
  seed?: number;
  minFraction?: number;
  maxFraction?: number;
}): MaskSource {
  return {
    ...{ name: "free-form", height, width },
    mask: (index) => {
      const random = randomStream("free-form", seed, index);
      const target = random.between(minFraction, maxFraction) * width * height;
      return drawStrokes(random, height, width, target);
    },
  };
}

/**
 * One missing rectangle a mask; width and height uniform between the two sizes, which are meant for side 256
 * and scale with the sides; the place uniform inside the picture.
 */
export function boxMasks({
  height,
  width,
  seed = 0,
  minMaskSize = 60,
  maxMaskSize = 120,
}: {
  height: number;
  width: number;
  seed?: number;
  minMaskSize?: number;
  maxMaskSize?: number;
}): MaskSource {
  const scaled = (size: number, side: number): number =>
    Math.min(side, Math.max(1, Math.round((size * side) / REFERENCE_SIDE)));
  return {
    ...{ name: "box", height, width },
    mask: (index) => {
      const random = randomStream("box", seed, index);
      const along = (side: number) => random.integer(scaled(minMaskSize, side), scaled(maxMaskSize, side));
      const columns = along(width);
      // Of a picture that is missing as a whole nothing could be said.
      const rows = Math.min(along(height), columns === width ? height - 1 : height);
      const [left, top] = [random.integer(0, width - columns), random.integer(0, height - rows)];
      const mask = new Float32Array(height * width).fill(1);
      for (let y = top; y < top + rows; y++) mask.fill(0, y * width + left, y * width + left + columns);
      return mask;
    },
  };
}

/** Strokes that turn as they go, pixel by pixel, so that the missing area ends at `target` rounded up. Brushes scale with the smaller side. */
function drawStrokes(random: RandomStream, height: number, width: number, target: number): Float32Array {
  const mask = new Float32Array(height * width).fill(1);
  const side = Math.min(height, width);
  let missing = 0;
  const erase = (x: number, y: number): void => {
    if (x < 0 || y < 0 || x >= width || y >= height || missing >= target || mask[y * width + x] === 0) return;
    mask[y * width + x] = 0;
    missing++;
  };
  while (missing < target) {
    const radius = Math.max(0.5, random.between(0.02, 0.06) * side);
    let [x, y, angle] = [random.between(0, width), random.between(0, height), random.between(0, 2 * Math.PI)];
    const steps = Math.ceil(random.between(0.2, 1) * (side / radius));
    for (let step = 0; step < steps && missing < target; step++) {
      disc(x, y, radius, erase);
      angle += random.between(-0.5, 0.5);
      x += radius * Math.cos(angle);
      y += radius * Math.sin(angle);
    }
  }
  return mask;
}

/** Visits the pixels whose centres lie within `radius` of (x, y), and the one that holds (x, y). */
function disc(x: number, y: number, radius: number, visit: (x: number, y: number) => void): void {
  visit(Math.floor(x), Math.floor(y));
  for (let py = Math.floor(y - radius); py <= y + radius; py++) {
    for (let px = Math.floor(x - radius); px <= x + radius; px++) {
      if ((px + 0.5 - x) ** 2 + (py + 0.5 - y) ** 2 <= radius ** 2) visit(px, py);
    }
  }
}
