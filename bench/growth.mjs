// What a forward pass of the prior costs against the pictures' side and against the batch: a section of docs/performance.md and
// its chart.
import { cases, flopsOf, growth } from "./cases.mjs";
import { withSection } from "./page.mjs";
import { markdown, number } from "./table.mjs";

const WIDTH = 560;
const HEIGHT = 320;
const FRAME = { left: 56, right: 120, top: 16, bottom: 40 };

/** Points of the two curves by side: ms a picture, and operations in units that make them meet at the first side. */
export function bySide(results) {
  const points = growth.sides.map(({ name, side, batch }) => ({
    side,
    ms: results[name].ms / batch,
    gflop: flopsOf(cases[name]) / batch / 1e9,
  }));
  const scale = points[0].ms / points[0].gflop;
  return points.map((point) => ({ ...point, expected: point.gflop * scale }));
}

/** A chart of both curves, both axes logarithmic, as SVG for light and dark pages. */
export function chart(points) {
  const values = points.flatMap((p) => [p.ms, p.expected]);
  const [low, high] = [10 ** Math.floor(Math.log10(Math.min(...values))), Math.max(...values) * 1.2];
  const [first, last] = [points[0].side, points.at(-1).side];
  const across = (v) =>
    FRAME.left + (Math.log(v / first) / Math.log(last / first)) * (WIDTH - FRAME.left - FRAME.right);
  const up = (v) =>
    HEIGHT - FRAME.bottom - (Math.log(v / low) / Math.log(high / low)) * (HEIGHT - FRAME.top - FRAME.bottom);
  const line = (pick) =>
    points.map((p) => `${across(p.side).toFixed(1)},${up(pick(p)).toFixed(1)}`).join(" ");
  const decades = [];
  for (let v = low; v <= high; v *= 10) decades.push(v);
  const end = points.at(-1);
  // Labels of lines that end close together are kept a line apart.
  const [a, b] = [up(end.ms), up(end.expected)];
  const apart = Math.max(0, 16 - Math.abs(a - b)) / 2;
  const [labelA, labelB] = a < b ? [a - apart, b + apart] : [a + apart, b - apart];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12" role="img" aria-label="Time and operations of a picture against its side">
<style>text{fill:#57606a}line{stroke:#8c959f;stroke-opacity:.3}polyline{fill:none;stroke-width:2}.a{stroke:#0969da}.b{stroke:#8c959f;stroke-dasharray:5 4}@media(prefers-color-scheme:dark){text{fill:#9198a1}.a{stroke:#4493f8}}</style>
${decades.map((v) => `<line x1="${FRAME.left}" x2="${WIDTH - FRAME.right}" y1="${up(v).toFixed(1)}" y2="${up(v).toFixed(1)}"/><text x="${FRAME.left - 6}" y="${(up(v) + 4).toFixed(1)}" text-anchor="end">${v} ms</text>`).join("\n")}
${points.map((p) => `<text x="${across(p.side).toFixed(1)}" y="${HEIGHT - FRAME.bottom + 18}" text-anchor="middle">${p.side}</text>`).join("\n")}
<text x="${(FRAME.left + WIDTH - FRAME.right) / 2}" y="${HEIGHT - 4}" text-anchor="middle">side of the picture</text>
<polyline class="b" points="${line((p) => p.expected)}"/>
<polyline class="a" points="${line((p) => p.ms)}"/>
<text x="${WIDTH - FRAME.right + 6}" y="${(labelA + 4).toFixed(1)}">time</text>
<text x="${WIDTH - FRAME.right + 6}" y="${(labelB + 4).toFixed(1)}">operations</text>
</svg>
`;
}

/** `before` with the section of this adapter put in; `image`: the chart's path from the page. */
export function growthPage(before, { adapter, commit, date, cases: results }, image) {
  const title = `## Growth on ${adapter}`;
  const sides = bySide(results).map((p) => [
    String(p.side),
    number(p.ms),
    number(p.gflop),
    number((1000 * p.gflop) / p.ms),
  ]);
  const batches = growth.batches.map(({ name, batch }) => [
    String(batch),
    number(results[name].ms / batch),
    number(results[name].peak_bytes / 2 ** 20),
  ]);
  const made = [
    title,
    "",
    `A forward pass of the shipped prior's network, commit ${commit}, ${date.slice(0, 10)}. By the side of the picture, at batch 1; the dashed line is the count of operations, drawn through the first point:`,
    "",
    `![Time and operations against the side](${image})`,
    "",
    ...markdown(["side", "ms a picture", "GFLOP", "GFLOP/s"], sides),
    "",
    "By the batch, at side 32:",
    "",
    ...markdown(["batch", "ms a picture", "peak MiB"], batches),
  ].join("\n");
  return withSection(before, title, made);
}
