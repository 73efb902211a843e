// Counter-based random numbers on the host: Philox4x32-10 (Salmon et al. 2011), the twin of shaders/lib/philox.wgsl.

/** 32-bit word pair of a whole number: low, high. */
export function wordsOf(value: number): [low: number, high: number] {
  return [value >>> 0, Math.floor(value / 2 ** 32) >>> 0];
}

/** High word of the 64-bit product of two words. */
function multiplyHigh(a: number, b: number): number {
  const [a0, a1, b0, b1] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const mid = a1 * b0 + ((a0 * b0) >>> 16);
  const cross = a0 * b1 + (mid % 0x10000);
  return (a1 * b1 + Math.floor(mid / 0x10000) + Math.floor(cross / 0x10000)) >>> 0;
}

/** Philox4x32 with ten rounds: four words from a counter of four and a key of two. */
export function philox4x32(
  counter: readonly [number, number, number, number],
  key: readonly [number, number],
): [number, number, number, number] {
  let [c0, c1, c2, c3] = counter;
  let [k0, k1] = key;
  for (let round = 0; round < 10; round++) {
    const [high0, low0] = [multiplyHigh(0xd2511f53, c0), Math.imul(0xd2511f53, c0)];
    const [high1, low1] = [multiplyHigh(0xcd9e8d57, c2), Math.imul(0xcd9e8d57, c2)];
    [c0, c1, c2, c3] = [(high1 ^ c1 ^ k0) >>> 0, low1 >>> 0, (high0 ^ c3 ^ k1) >>> 0, low0 >>> 0];
    [k0, k1] = [(k0 + 0x9e3779b9) >>> 0, (k1 + 0xbb67ae85) >>> 0];
  }
  return [c0, c1, c2, c3];
}

/**
 * A sequence that depends on seed, stream and image number alone: the numbers that randomUniform and randomNormal give
 * that image on the GPU (uniforms to the bit; normals to float32 rounding). Seed and stream: whole numbers below 2^53,
 * image below 2^32.
 */
export class Philox {
  readonly #key: [number, number];
  readonly #stream: [number, number];
  readonly #image: number;
  #words: readonly number[] = [];
  #drawn = 0;
  #spare: number | undefined;

  constructor(seed: number, stream: number, image = 0) {
    this.#key = wordsOf(seed);
    this.#stream = wordsOf(stream);
    this.#image = image >>> 0;
  }

  /** The next word, 0 to 2^32 - 1. */
  word(): number {
    if (this.#drawn % 4 === 0)
      this.#words = philox4x32([this.#drawn / 4, this.#image, ...this.#stream], this.#key);
    return this.#words[this.#drawn++ % 4] as number;
  }

  /** Uniform in [0, 1), a multiple of 2^-24. */
  uniform(): number {
    return (this.word() >>> 8) / 2 ** 24;
  }

  /** Standard normal, two from two words (Box & Muller 1958): cosine first, then sine. */
  normal(): number {
    if (this.#spare !== undefined) {
      const value = this.#spare;
      this.#spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log((this.word() + 0.5) / 2 ** 32));
    const angle = (2 * Math.PI * this.word()) / 2 ** 32;
    this.#spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  }

  /** Uniform whole number in 0 … n-1, n up to 2^32; words that would favour small ones are drawn again. */
  below(n: number): number {
    const limit = 2 ** 32 - (2 ** 32 % n);
    for (;;) {
      const w = this.word();
      if (w < limit) return w % n;
    }
  }

  /** The numbers 0 … n-1 in random order (Fisher & Yates). */
  permutation(n: number): Uint32Array<ArrayBuffer> {
    const order = Uint32Array.from({ length: n }, (_, i) => i);
    for (let i = n - 1; i > 0; i--) {
      const j = this.below(i + 1);
      [order[i], order[j]] = [order[j] as number, order[i] as number];
    }
    return order;
  }
}
