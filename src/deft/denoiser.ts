// ε, x̂0 and x_t into one another: the one place for these formulas (spec sections 2 to 5).
import { lincomb, type Engine, type Tensor } from "../tensor/index.ts";
import type { Schedule } from "./schedule.ts";

/** One coefficient an image, f(ᾱ_t): a number when all timesteps are equal, else an [N] tensor. */
function coefficient(
  engine: Engine,
  schedule: Schedule,
  t: ArrayLike<number>,
  f: (alphaBar: number) => number,
): number | Tensor {
  const values = Array.from(t, (v) => f(schedule.alphaBar(v)));
  return values.every((v) => v === values[0])
    ? (values[0] as number)
    : engine.tensor(Float32Array.from(values));
}

/** x_t = √ᾱ_t x + √(1−ᾱ_t) z, one timestep an image. */
export function addNoise(schedule: Schedule, x: Tensor, z: Tensor, t: ArrayLike<number>): Tensor {
  return x.engine.scope(() => {
    const a = coefficient(x.engine, schedule, t, Math.sqrt);
    const b = coefficient(x.engine, schedule, t, (v) => Math.sqrt(1 - v));
    return lincomb(a, x, b, z);
  });
}

/** x̂0 = (x_t − √(1−ᾱ_t) ε)/√ᾱ_t, not clamped. */
export function predictX0(schedule: Schedule, xt: Tensor, eps: Tensor, t: ArrayLike<number>): Tensor {
  return xt.engine.scope(() => {
    const a = coefficient(xt.engine, schedule, t, (v) => 1 / Math.sqrt(v));
    const b = coefficient(xt.engine, schedule, t, (v) => -Math.sqrt(1 - v) / Math.sqrt(v));
    return lincomb(a, xt, b, eps);
  });
}

/**
 * −√(1−ᾱ_t)·∇ log q_t(x_t) of q = N(x̂0, σ²I): √(1−ᾱ_t)(x_t − √ᾱ_t x̂0)/(ᾱ_t σ² + 1−ᾱ_t). With σ = 0 it is what the noise must be
 * when the picture is x̂0, (x_t − √ᾱ_t x̂0)/√(1−ᾱ_t).
 */
export function impliedEps(
  schedule: Schedule,
  xt: Tensor,
  x0: Tensor,
  t: ArrayLike<number>,
  sigma = 0,
): Tensor {
  const scale = (v: number): number => Math.sqrt(1 - v) / (v * sigma ** 2 + 1 - v);
  return xt.engine.scope(() => {
    const a = coefficient(xt.engine, schedule, t, scale);
    const b = coefficient(xt.engine, schedule, t, (v) => -Math.sqrt(v) * scale(v));
    return lincomb(a, xt, b, x0);
  });
}

/** ε_θ(x_t, t) of some network; `calls` counts network evaluations of one image. */
export interface Denoiser {
  (xt: Tensor, t: ArrayLike<number>): Tensor;
}

/** What a prior's network puts out: the noise, or v = √ᾱ_t z − √(1−ᾱ_t) x. */
export type PredictionType = "epsilon" | "v_prediction";

/**
 * ε_θ from a network of either kind: v̂ gives ε = √ᾱ_t v̂ + √(1−ᾱ_t) x_t (Salimans & Ho 2022, appendix D), whose error is √ᾱ_t of
 * v̂'s: at large t, where x̂0 = √ᾱ_t x_t − √(1−ᾱ_t) v̂, a network need not copy the noise to many digits.
 */
export function epsilonFrom(type: PredictionType, schedule: Schedule, network: Denoiser): Denoiser {
  if (type === "epsilon") return network;
  return (xt, t) =>
    xt.engine.scope(() => {
      const a = coefficient(xt.engine, schedule, t, Math.sqrt);
      const b = coefficient(xt.engine, schedule, t, (v) => Math.sqrt(1 - v));
      return lincomb(a, network(xt, t), b, xt);
    });
}

/**
 * (z − ε)·ᾱ_t^(−g/2) of a network of either kind as known + factor·output, known [N, C, H, W] and factor [N]. Its square is the error
 * of ε weighted by ᾱ_t^(−g): g = 0 counts errors of ε alike (Ho et al. 2020), g = 1 those of v = √ᾱ_t ε − √(1−ᾱ_t) x, as
 * ‖v − v̂‖² = ‖ε − ε̂‖²/ᾱ_t (Salimans & Ho 2022, section 4).
 */
export function weightedResidual(
  type: PredictionType,
  schedule: Schedule,
  { xt, z, t, power }: { xt: Tensor; z: Tensor; t: ArrayLike<number>; power: number },
): { known: Tensor; factor: Tensor } {
  const { engine } = xt;
  const weight = (v: number): number => v ** (-power / 2);
  const ofImages = (f: (alphaBar: number) => number): Tensor =>
    engine.tensor(Float32Array.from(t, (v) => f(schedule.alphaBar(v))));
  const isEps = type === "epsilon";
  return engine.scope(() => ({
    known: lincomb(
      ofImages(weight),
      z,
      ofImages((v) => (isEps ? 0 : -weight(v) * Math.sqrt(1 - v))),
      xt,
    ),
    factor: ofImages((v) => -weight(v) * (isEps ? 1 : Math.sqrt(v))),
  }));
}
