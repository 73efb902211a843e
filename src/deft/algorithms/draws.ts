import { Philox, randomNormal, type Engine } from "../../tensor/index.ts";
import { streamOf, streams } from "../batches.ts";
import type { Draws } from "./algorithm.ts";

/**
 * The draws of a real run: normal numbers depend on seed, sample, the count of draws so far and the picture's number alone (the
 * first of the batch is `first`), not on the split into batches.
 */
export function seededDraws(
  engine: Engine,
  { seed, sample = 0, first = 0 }: { seed: number; sample?: number; first?: number },
): Draws {
  const levels = new Philox(seed, streamOf(streams.timestep, sample));
  let count = 0;
  return {
    normal: (shape) =>
      randomNormal(engine, shape, {
        seed,
        stream: streamOf(streams.sample, count++ * SAMPLES + sample),
        first,
      }),
    uniform: () => levels.uniform(),
  };
}

/** Samples of one measurement that have streams of their own. */
const SAMPLES = 64;
