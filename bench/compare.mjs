// Is a run slower than the recorded one? Compared are shares of the ceiling that was measured beside each case, not
// milliseconds: those differ between machines and hours.

/** @param {readonly number[]} values */
export const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  const [low, high] = [sorted[sorted.length % 2 ? middle : middle - 1], sorted[middle]];
  return ((low ?? NaN) + (high ?? NaN)) / 2;
};

/**
 * Median and spread, (largest - smallest) / median, of repeated runs.
 * @param {readonly number[]} values
 */
export function summarise(values) {
  const middle = median(values);
  return { median: middle, spread: (Math.max(...values) - Math.min(...values)) / middle };
}

/**
 * Each case's cost against the baseline's. A cost is the reciprocal of the share of the ceiling, one number a run. Worse means
 * that the median rose by more than the larger spread of the two. Cases that the baseline lacks have `before` null.
 * @param {Readonly<Record<string, readonly number[]>>} baseline costs of repeated runs by case
 * @param {Readonly<Record<string, readonly number[]>>} now
 */
export function compareCosts(baseline, now) {
  return Object.entries(now).map(([name, costs]) => {
    const after = summarise(costs);
    const recorded = baseline[name];
    if (!recorded) return { name, before: null, after: after.median, change: 0, allowed: 0, worse: false };
    for (const runs of [recorded, costs])
      if (runs.length < 2)
        throw new Error(
          `${name}: ${runs.length} run; expected two or more, or there is no spread to judge by`,
        );
    const before = summarise(recorded);
    const change = after.median / before.median - 1;
    const allowed = Math.max(before.spread, after.spread);
    return { name, before: before.median, after: after.median, change, allowed, worse: change > allowed };
  });
}

/**
 * The variant to write into a table: the fastest, if it beats the usual one by more than the larger spread of the rounds of both.
 * @param {string} usual
 * @param {Readonly<Record<string, readonly number[]>>} times of each variant in each round
 * @returns {string | null} null: the usual one
 */
export function fastest(usual, times) {
  const measured = Object.entries(times).map(([name, rounds]) => ({ name, ...summarise(rounds) }));
  const before = measured.find(({ name }) => name === usual);
  const best = measured.reduce((a, b) => (b.median < a.median ? b : a));
  return 1 - best.median / before.median > Math.max(best.spread, before.spread) ? best.name : null;
}
