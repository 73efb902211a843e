// Small problems with a known prior: pictures of one channel, 4x4, measured without noise.
import type { Problem } from "../../../src/deft/algorithms/algorithm.ts";
import { seededDraws } from "../../../src/deft/algorithms/draws.ts";
import type { Operator } from "../../../src/deft/operator.ts";
import { inpainting } from "../../../src/deft/operators/inpainting.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import { Schedule, timesteps } from "../../../src/deft/schedule.ts";
import type { Engine } from "../../../src/tensor/index.ts";
import { gaussianDenoiser, type Gaussian } from "./gaussian.ts";

export const schedule = new Schedule({
  betaSchedule: "linear",
  betaStart: 1e-4,
  betaEnd: 0.02,
  numTimesteps: 1000,
});

const shape = [1, 4, 4] as const;
const pixels = (f: (i: number) => number): number[] => Array.from({ length: 16 }, (_, i) => f(i));
/** Block of 2x2 that pixel i is in. */
const blockOf = (i: number): number => 2 * (i >> 3) + ((i % 4) >> 1);

/** Variances that differ from pixel to pixel. */
export const freePrior: Gaussian = {
  shape,
  mean: pixels((i) => 0.5 * Math.sin(1.3 * i)),
  variance: pixels((i) => 0.05 + 0.12 * ((7 * i) % 11)),
};

/** Variances that differ from block to block: in the blocks' own coordinates the prior is diagonal too. */
export const blockPrior: Gaussian = { ...freePrior, variance: pixels((i) => 0.1 + 0.3 * blockOf(i)) };

export type TaskName = "sr2" | "inp";

export const kept = pixels((i) => (i % 3 === 0 ? 1 : 0));

/** The rows of A. */
export const rowsOf: Record<TaskName, number[][]> = {
  sr2: [0, 1, 2, 3].map((k) => pixels((i) => (blockOf(i) === k ? 0.25 : 0))),
  inp: kept.flatMap((m, k) => (m ? [pixels((i) => (i === k ? 1 : 0))] : [])),
};

/** y of one picture that the prior finds likely: as the rows give it. */
export function measurementOf(task: TaskName, { mean, variance }: Gaussian): number[] {
  const x = mean.map((m, i) => m + Math.sqrt(variance[i] as number) * Math.cos(2.1 * i));
  return rowsOf[task].map((row) => row.reduce((sum, a, i) => sum + a * (x[i] as number), 0));
}

export interface Setting {
  readonly problem: Problem;
  readonly network: ReturnType<typeof gaussianDenoiser>;
  dispose(): void;
}

/** The same measurement `n` times; pictures are numbered from `first`. */
export function settingOf(
  engine: Engine,
  task: TaskName,
  prior: Gaussian,
  { n, steps, seed = 1, first = 0 }: { n: number; steps: number; seed?: number; first?: number },
): Setting {
  const masks = {
    values: Float32Array.from(Array.from({ length: n }, () => kept).flat()),
    shape: [n, 1, 4, 4] as const,
  };
  const operator: Operator = task === "sr2" ? superResolution(2, shape) : inpainting(engine, masks, shape);
  const values = measurementOf(task, prior);
  // In-painting keeps the picture's shape.
  let next = 0;
  const one = task === "sr2" ? values : kept.map((m) => (m ? (values[next++] as number) : 0));
  const y = engine.tensor(Array.from({ length: n }, () => one).flat(), [n, ...operator.outShape], "y");
  const network = gaussianDenoiser(engine, schedule, prior);
  const problem: Problem = {
    engine,
    schedule,
    prior: network.denoise,
    operator,
    y,
    ts: timesteps(1000, 0, steps),
    draws: seededDraws(engine, { seed, first }),
  };
  return {
    problem,
    network,
    dispose() {
      for (const t of [y, ...operator.held]) t.dispose();
    },
  };
}
