import { randomStream, type RandomStream } from "./random.ts";

/** Masks by index, each side x side; 1 = kept, 0 = missing. Pure: the same index gives the same mask. */
export interface MaskSource {
  readonly name: string;
  readonly side: number;
  mask(index: number): Float32Array;
}

/** The side for which mask sizes in pixels are given. */
const REFERENCE_SIDE = 256;

/**
 * Free-form masks: random strokes of a round brush (Yu et al. 2019) until a share of the picture between
 * `minFraction` and `maxFraction` is missing, 20 to 30 % by default.
 */
export function freeFormMasks({
  side,
  seed = 0,
  minFraction = 0.2,
  maxFraction = 0.3,
}: {
  side: number;
  seed?: number;
  minFraction?: number;
  maxFraction?: number;
}): MaskSource {
  return {
    name: "free-form",
    side,
    mask: (index) => {
      const random = randomStream("free-form", seed, index);
      const target = random.between(minFraction, maxFraction) * side * side;
      return drawStrokes(random, side, target);
    },
  };
}

/**
 * One missing rectangle a mask; width and height uniform between the two sizes, which are meant for side 256
 * and scale with the side; the place uniform inside the picture.
 */
export function boxMasks({
  side,
  seed = 0,
  minMaskSize = 60,
  maxMaskSize = 120,
}: {
  side: number;
  seed?: number;
  minMaskSize?: number;
  maxMaskSize?: number;
}): MaskSource {
  const scaled = (size: number): number =>
    Math.min(side, Math.max(1, Math.round((size * side) / REFERENCE_SIDE)));
  return {
    name: "box",
    side,
    mask: (index) => {
      const random = randomStream("box", seed, index);
      const [low, high] = [scaled(minMaskSize), scaled(maxMaskSize)];
      const [width, height] = [random.integer(low, high), random.integer(low, high)];
      const [left, top] = [random.integer(0, side - width), random.integer(0, side - height)];
      const mask = new Float32Array(side * side).fill(1);
      for (let y = top; y < top + height; y++) mask.fill(0, y * side + left, y * side + left + width);
      return mask;
    },
  };
}

/** Strokes that turn as they go, pixel by pixel, so that the missing area ends at `target` rounded up. */
function drawStrokes(random: RandomStream, side: number, target: number): Float32Array {
  const mask = new Float32Array(side * side).fill(1);
  let missing = 0;
  const erase = (x: number, y: number): void => {
    if (x < 0 || y < 0 || x >= side || y >= side || missing >= target || mask[y * side + x] === 0) return;
    mask[y * side + x] = 0;
    missing++;
  };
  while (missing < target) {
    const radius = Math.max(0.5, random.between(0.02, 0.06) * side);
    let [x, y, angle] = [random.between(0, side), random.between(0, side), random.between(0, 2 * Math.PI)];
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
