import type { ImageDataset } from "./dataset.ts";
import { randomStream } from "./random.ts";

/** Samples a pixel and axis over which an edge is averaged. */
const OVERSAMPLING = 2;

interface Ellipse {
  readonly x: number;
  readonly y: number;
  /** Half axes. */
  readonly a: number;
  readonly b: number;
  readonly cos: number;
  readonly sin: number;
  readonly value: number;
}

/**
 * Phantoms for one-channel work: a body ellipse with 4 to 12 ellipses inside that add or take density, on
 * [-1, 1]^2 with zero outside; densities clamped to [0, 1] and mapped to [-1, 1]. Index i of a seed is the
 * same body at every side.
 */
export function phantoms({
  side,
  length,
  seed = 0,
}: {
  side: number;
  length: number;
  seed?: number;
}): ImageDataset {
  const get = (index: number): Float32Array => {
    if (!(index >= 0 && index < length)) throw new RangeError(`phantoms: no picture ${index} of ${length}`);
    return render(phantom(seed, index), side);
  };
  return { name: "phantoms", length, channels: 1, side, get: (index) => Promise.resolve(get(index)) };
}

function phantom(seed: number, index: number): Ellipse[] {
  const random = randomStream("phantom", seed, index);
  const ellipse = (x: number, y: number, a: number, b: number, value: number): Ellipse => {
    const angle = random.between(0, Math.PI);
    return { x, y, a, b, cos: Math.cos(angle), sin: Math.sin(angle), value };
  };
  const a = random.between(0.6, 0.9);
  const b = random.between(0.6, 0.9);
  const reach = 0.75 * Math.min(a, b);
  const body = ellipse(
    random.between(-0.08, 0.08),
    random.between(-0.08, 0.08),
    a,
    b,
    random.between(0.3, 0.6),
  );
  const inside = Array.from({ length: random.integer(4, 12) }, () => {
    const direction = random.between(0, 2 * Math.PI);
    const distance = reach * Math.sqrt(random.uniform());
    const size = (): number => random.between(0.04, 0.3);
    const sign = random.uniform() < 0.5 ? -1 : 1;
    const value = sign * random.between(0.1, 0.4);
    return ellipse(distance * Math.cos(direction), distance * Math.sin(direction), size(), size(), value);
  });
  return [body, ...inside];
}

function render(ellipses: readonly Ellipse[], side: number): Float32Array {
  const fine = side * OVERSAMPLING;
  const out = new Float32Array(side * side);
  for (let i = 0; i < fine; i++) {
    const y = (2 * (i + 0.5)) / fine - 1;
    for (let j = 0; j < fine; j++) {
      const x = (2 * (j + 0.5)) / fine - 1;
      let density = 0;
      for (const e of ellipses) {
        const u = ((x - e.x) * e.cos + (y - e.y) * e.sin) / e.a;
        const v = ((y - e.y) * e.cos - (x - e.x) * e.sin) / e.b;
        if (u * u + v * v <= 1) density += e.value;
      }
      const pixel = Math.floor(i / OVERSAMPLING) * side + Math.floor(j / OVERSAMPLING);
      out[pixel]! += Math.min(1, Math.max(0, density)) / OVERSAMPLING ** 2;
    }
  }
  return out.map((density) => 2 * density - 1);
}
