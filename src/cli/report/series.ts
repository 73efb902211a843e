/** A point of a curve. */
export interface Point {
  x: number;
  y: number;
}

/**
 * Exponential mean of y with its start corrected (as in Adam), over about `span` points:
 * m_i = Σ β^(i−j) y_j / Σ β^(i−j), β = 1 − 1/span.
 */
export function smooth(points: readonly Point[], span: number): Point[] {
  const beta = 1 - 1 / Math.max(1, span);
  let sum = 0;
  let weight = 0;
  return points.map(({ x, y }) => {
    sum = beta * sum + y;
    weight = beta * weight + 1;
    return { x, y: sum / weight };
  });
}

/** At most about `limit` points of a curve: of each stretch its lowest and highest, so that no spike is lost. */
export function thin(points: readonly Point[], limit: number): Point[] {
  if (points.length <= limit) return [...points];
  const stretch = Math.ceil((2 * points.length) / limit);
  const kept: Point[] = [];
  for (let from = 0; from < points.length; from += stretch) {
    const part = points.slice(from, from + stretch);
    const low = part.reduce((a, b) => (b.y < a.y ? b : a));
    const high = part.reduce((a, b) => (b.y > a.y ? b : a));
    kept.push(...(low === high ? [low] : low.x < high.x ? [low, high] : [high, low]));
  }
  return kept;
}
