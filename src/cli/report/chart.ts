import { formatNumber } from "../format.ts";
import { markup } from "./markup.ts";
import type { Markup } from "./markup.ts";
import { linearScale, logScale, tickLabel } from "./scale.ts";
import type { Scale } from "./scale.ts";
import { smooth, thin } from "./series.ts";
import type { Point } from "./series.ts";

const SIZE = { width: 560, height: 300 };
const FRAME = { left: 58, right: 14, top: 14, bottom: 46 };
/** More points than this only make the file larger. */
const MOST_POINTS = 600;

/** Loss over steps as inline SVG, log y: the raw values and their exponential mean. */
export function lossChart(rows: readonly { step: number; loss: number }[]): Markup {
  const raw = rows
    .filter(({ loss }) => Number.isFinite(loss) && loss > 0)
    .map(({ step, loss }) => ({ x: step, y: loss }));
  if (raw.length === 0) return markup`<p class="empty">No loss was recorded.</p>`;
  const span = Math.max(4, raw.length / 20);
  const mean = smooth(raw, span);
  const first = raw[0]!;
  const last = mean.at(-1)!;
  const extent = extentOf(raw);
  return chart({
    name: "loss",
    title: "Training loss over steps, logarithmic",
    text: `It begins at ${formatNumber(first.y)} in step ${first.x}; its smoothed value ends at ${formatNumber(last.y)} in step ${last.x}.`,
    xLabel: "step",
    yScale: logScale(extent.low, extent.high),
    curves: [
      { points: raw, style: "raw" },
      { points: mean, style: "strong" },
    ],
  });
}

/** The gate s(t) over the time step as inline SVG, linear. */
export function gateChart(rows: readonly { t: number; s: number }[]): Markup {
  const points = rows.filter(({ s }) => Number.isFinite(s)).map(({ t, s }) => ({ x: t, y: s }));
  if (points.length === 0) return markup`<p class="empty">No gate was recorded.</p>`;
  const extent = extentOf(points);
  const [first, last] = [points[0]!, points.at(-1)!];
  return chart({
    name: "gate",
    title: "Gate s(t) over the time step t",
    text: `It runs from ${formatNumber(first.y)} at t = ${first.x} to ${formatNumber(last.y)} at t = ${last.x}.`,
    xLabel: "time step t: 0 is the picture, right is noise",
    yScale: linearScale(Math.min(0, extent.low), Math.max(0, extent.high)),
    curves: [{ points, style: "strong" }],
  });
}

interface ChartOptions {
  name: string;
  title: string;
  text: string;
  xLabel: string;
  yScale: Scale;
  curves: readonly { points: readonly Point[]; style: "raw" | "strong" }[];
}

function chart({ name, title, text, xLabel, yScale, curves }: ChartOptions): Markup {
  const xs = curves.flatMap(({ points }) => [points[0]!.x, points.at(-1)!.x]);
  const xScale = linearScale(Math.min(...xs), Math.max(...xs), { round: false });
  const inner = {
    width: SIZE.width - FRAME.left - FRAME.right,
    height: SIZE.height - FRAME.top - FRAME.bottom,
  };
  const left = (value: number) => round(FRAME.left + xScale.position(value) * inner.width);
  const top = (value: number) => round(FRAME.top + (1 - yScale.position(value)) * inner.height);
  const bottom = FRAME.top + inner.height;
  const rules = yScale.ticks.map(
    (tick) =>
      markup`<line class="rule" x1="${FRAME.left}" x2="${SIZE.width - FRAME.right}" y1="${top(tick)}" y2="${top(tick)}"/><text x="${FRAME.left - 8}" y="${top(tick)}" dy="0.35em" text-anchor="end">${tickLabel(tick)}</text>`,
  );
  const marks = xScale.ticks.map(
    (tick) =>
      markup`<line class="axis" x1="${left(tick)}" x2="${left(tick)}" y1="${bottom}" y2="${bottom + 4}"/><text x="${left(tick)}" y="${bottom + 18}" text-anchor="middle">${tickLabel(tick)}</text>`,
  );
  const paths = curves.map(
    ({ points, style }) =>
      markup`<path class="${style}" d="${pathOf(thin(points, MOST_POINTS), left, top)}"/>`,
  );
  return markup`<svg viewBox="0 0 ${SIZE.width} ${SIZE.height}" role="img" aria-labelledby="${name}-title ${name}-text"><title id="${name}-title">${title}</title><desc id="${name}-text">${text}</desc>${rules}${marks}<line class="axis" x1="${FRAME.left}" x2="${SIZE.width - FRAME.right}" y1="${bottom}" y2="${bottom}"/>${paths}<text class="label" x="${FRAME.left + inner.width / 2}" y="${SIZE.height - 8}" text-anchor="middle">${xLabel}</text></svg>`;
}

function pathOf(points: readonly Point[], left: (x: number) => number, top: (y: number) => number): string {
  const path = points.map(({ x, y }, i) => `${i === 0 ? "M" : "L"}${left(x)} ${top(y)}`).join("");
  // A round cap makes a dot of a line without length.
  return points.length === 1 ? `${path}h0` : path;
}

function extentOf(points: readonly Point[]): { low: number; high: number } {
  return points.reduce(({ low, high }, { y }) => ({ low: Math.min(low, y), high: Math.max(high, y) }), {
    low: Infinity,
    high: -Infinity,
  });
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
