// The diffusion schedule (spec section 1) and the coefficients of a DDIM step (spec section 5).
import { UserError } from "./errors.ts";

export type BetaSchedule = "linear" | "quad" | "const" | "jsd" | "sigmoid" | "cosine";

export interface ScheduleOptions {
  readonly betaSchedule: BetaSchedule;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly numTimesteps: number;
}

/** n values from a to b, both met exactly, as NumPy spaces them. */
const linspace = (a: number, b: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => (i > 0 && i === n - 1 ? b : a + i * ((b - a) / (n - 1 || 1))));

/** β_0 … β_{T−1} in float64. cosine: Nichol & Dhariwal 2021, eq. 17, capped at 0.999; the others: Ho et al. 2020's code. */
export function betas({ betaSchedule, betaStart, betaEnd, numTimesteps: n }: ScheduleOptions): number[] {
  switch (betaSchedule) {
    case "linear":
      return linspace(betaStart, betaEnd, n);
    case "quad":
      return linspace(Math.sqrt(betaStart), Math.sqrt(betaEnd), n).map((v) => v * v);
    case "const":
      return new Array<number>(n).fill(betaEnd);
    case "jsd":
      return linspace(n, 1, n).map((v) => 1 / v);
    case "sigmoid":
      return linspace(-6, 6, n).map((v) => (betaEnd - betaStart) / (1 + Math.exp(-v)) + betaStart);
    case "cosine": {
      const f = (t: number) => Math.cos(((t / n + 0.008) / 1.008) * (Math.PI / 2)) ** 2;
      return Array.from({ length: n }, (_, i) => Math.min(0.999, 1 - f(i + 1) / f(i)));
    }
  }
}

export class Schedule {
  readonly numTimesteps: number;
  /** float32, index t + 1; index 0 is t = −1 with β = 0. */
  readonly betas: Float32Array;
  /** ᾱ, float32, index t + 1: ᾱ(−1) = 1. The product runs in float64 over float32(1 − β), each entry rounded when stored. */
  readonly alphaBars: Float32Array;

  constructor(options: ScheduleOptions) {
    if (options.numTimesteps < 1)
      throw new UserError(`diffusion.num_diffusion_timesteps: ${options.numTimesteps}; expected at least 1`);
    this.numTimesteps = options.numTimesteps;
    this.betas = Float32Array.from([0, ...betas(options)]);
    this.alphaBars = new Float32Array(this.betas.length);
    let product = 1;
    this.betas.forEach((b, i) => {
      product *= Math.fround(1 - b);
      this.alphaBars[i] = product;
    });
  }

  /** ᾱ_t for t in −1 … T−1, 1e-8 at least: x̂0 divides by its root, and at the end of the schedule jsd it is 0. */
  alphaBar(t: number): number {
    const v = this.alphaBars[t + 1];
    if (v === undefined) throw new UserError(`timestep ${t}: expected -1 to ${this.numTimesteps - 1}`);
    return Math.max(v, 1e-8);
  }
}

/** Timesteps of a sampler, ascending: range(end, start, ⌊(start − end)/numSteps⌋). Walked from last to first; −1 comes after the first. */
export function timesteps(startStep: number, endStep: number, numSteps: number): number[] {
  const skip = Math.floor((startStep - endStep) / numSteps);
  if (!(skip >= 1))
    throw new UserError(
      `num_steps: ${numSteps} steps between ${endStep} and ${startStep}; expected 1 to ${startStep - endStep}`,
    );
  const ts: number[] = [];
  for (let t = endStep; t < startStep; t += skip) ts.push(t);
  return ts;
}

/** Pairs (t, s) in walking order: from the largest t down, s the next smaller, −1 last. */
export function stepPairs(ts: readonly number[]): { t: number; s: number }[] {
  return ts.map((t, i) => ({ t, s: i === 0 ? -1 : (ts[i - 1] as number) })).reverse();
}

/** c1 = η √((1−ᾱ_t/ᾱ_s)(1−ᾱ_s)/(1−ᾱ_t)), c2 = √(1−ᾱ_s−c1²) (Song et al. 2021, eq. 12 and 16), in float32 steps. */
export function ddimCoefficients(alphaT: number, alphaS: number, eta: number): { c1: number; c2: number } {
  const f = Math.fround;
  const ratio = f(f(f(1 - f(alphaT / alphaS)) * f(1 - alphaS)) / f(1 - alphaT));
  const c1 = f(f(Math.sqrt(ratio)) * eta);
  return { c1, c2: f(Math.sqrt(f(f(1 - alphaS) - f(c1 * c1)))) };
}

/**
 * P(t ≤ index) for t drawn with density ∝ ᾱ_t^p. Over half of the linear schedule's steps leave less of a 32 × 32 picture than its
 * mean colour: p > 0 spends more of the training where shapes are decided.
 */
export function timestepDistribution(schedule: Schedule, power: number): Float64Array {
  let sum = 0;
  const sums = Float64Array.from(
    { length: schedule.numTimesteps },
    (_, t) => (sum += schedule.alphaBar(t) ** power),
  );
  return sums.map((v) => v / sum);
}
