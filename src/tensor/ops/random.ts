import { drawFloats, drawWords, type Draw } from "../../kernels/random.ts";
import type { Engine } from "../engine.ts";
import { ShapeError } from "../errors.ts";
import { wordsOf } from "../philox.ts";
import { sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface RandomOptions {
  /** Whole number below 2^53. */
  readonly seed: number;
  /** Which of the seed's independent sequences, a whole number below 2^53: one for each purpose and step. */
  readonly stream: number;
  /** Number of the first image (axis 0) of this batch; default 0. */
  readonly first?: number;
}

/** The numbers that `options` name for `shape`, or ShapeError. */
export function drawOf(op: string, shape: Shape, { seed, stream, first = 0 }: RandomOptions): Draw {
  for (const [name, value] of Object.entries({ seed, stream, first }))
    if (!Number.isSafeInteger(value))
      throw new ShapeError(`${op}: ${name} is ${value}; expected a whole number below 2^53`);
  const [[stream_low, stream_high], [seed_low, seed_high]] = [wordsOf(stream), wordsOf(seed)];
  const size = sizeOf(shape.slice(1));
  return { images: shape[0] ?? 1, size, first, stream_low, stream_high, seed_low, seed_high };
}

function floats(kind: "uniform" | "normal", op: string) {
  return (engine: Engine, shape: Shape, options: RandomOptions): Tensor => {
    const draw = drawOf(op, shape, options);
    const out = engine.empty(shape, "f32", op);
    if (out.size > 0) drawFloats(engine.device, kind, out, draw);
    return out;
  };
}

/**
 * Uniform f32 in [0, 1), multiples of 2^-24. Image n (axis 0) depends on seed, stream and first + n alone, so any split of
 * the images into batches gives the same numbers, to the bit on every adapter. Philox4x32-10, Salmon et al. 2011.
 */
export const randomUniform = floats("uniform", "randomUniform");

/** Standard normal f32 by Box & Muller (1958); splits as randomUniform; adapters agree to float32 rounding. */
export const randomNormal = floats("normal", "randomNormal");

/** Random u32 words, the ones that the other two are made of. */
export function randomWords(engine: Engine, shape: Shape, options: RandomOptions): Tensor {
  const draw = drawOf("randomWords", shape, options);
  const out = engine.empty(shape, "u32", "randomWords");
  if (out.size > 0) drawWords(engine.device, out, draw);
  return out;
}
