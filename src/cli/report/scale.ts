/** Maps values onto [0, 1] of an axis; `ticks` are values worth a line and a label. */
export interface Scale {
  position(value: number): number;
  ticks: readonly number[];
}

/** A linear axis from `low` to `high`, widened to whole tick steps when `round` is set. */
export function linearScale(low: number, high: number, { round = true, count = 5 } = {}): Scale {
  const step = niceStep((high - low || Math.abs(high) || 1) / count);
  const from = round ? Math.floor(low / step + 1e-9) * step : low;
  const wanted = round ? Math.ceil(high / step - 1e-9) * step : high;
  const to = wanted > from ? wanted : from + step;
  const ticks = multiples(step, from, to);
  return { position: (value) => (value - from) / (to - from), ticks };
}

/** A logarithmic axis around [low, high], both positive, with ticks at 1, 2, 5 or at powers of ten. */
export function logScale(low: number, high: number): Scale {
  const margin = Math.max(0.02, 0.06 * Math.log10(high / low));
  const from = Math.log10(low) - margin;
  const to = Math.log10(high) + margin;
  const mantissas = to - from > 2.2 ? [1] : [1, 2, 5];
  let ticks: number[] = [];
  for (let exponent = Math.floor(from); exponent <= to; exponent++) {
    for (const mantissa of mantissas) ticks.push(Number(`${mantissa}e${exponent}`));
  }
  ticks = ticks.filter((tick) => Math.log10(tick) >= from && Math.log10(tick) <= to);
  // Over less than a factor of two or so, 1-2-5 may leave one tick or none.
  if (ticks.length < 3) ticks = multiples(niceStep((10 ** to - 10 ** from) / 4), 10 ** from, 10 ** to);
  return { position: (value) => (Math.log10(value) - from) / (to - from), ticks };
}

/** A short label of a tick. */
export function tickLabel(value: number): string {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e6)) return value.toExponential().replace("e+", "e");
  return String(Number(value.toPrecision(6)));
}

function niceStep(rough: number): number {
  const power = 10 ** Math.floor(Math.log10(rough));
  const mantissa = rough / power;
  return power * (mantissa <= 1 ? 1 : mantissa <= 2 ? 2 : mantissa <= 5 ? 5 : 10);
}

function multiples(step: number, from: number, to: number): number[] {
  const ticks: number[] = [];
  const first = Math.ceil(from / step - 1e-9);
  for (let i = first; i * step <= to + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}
