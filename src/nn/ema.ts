export interface EmaOptions {
  readonly beta: number;
  readonly updateAfterStep: number;
  readonly updateEvery: number;
}

/**
 * What the moving average does at its call number `index` (0, 1, …; one call after each optimiser step): null = nothing,
 * 0 = copy the weights, else ema ← d·ema + (1 − d)·weights with d = min(beta, 1 − (1 + e)^(−2/3)), e = index −
 * updateAfterStep. Only multiples of updateEvery act; up to updateAfterStep they copy. As ema_pytorch 0.7.3 does it.
 */
export function emaDecay(index: number, o: EmaOptions): number | null {
  if (index === 0) return 0;
  if (index % o.updateEvery !== 0) return null;
  if (index <= o.updateAfterStep) return 0;
  return Math.min(o.beta, 1 - (1 + index - o.updateAfterStep) ** (-2 / 3));
}
