// The table of a comparison as cells, and as text for a terminal and for Markdown.
import type { Cost } from "../deft/compare.ts";
import { formatBytes, formatNumber } from "./format.ts";
import { COLUMNS } from "./report/figures.ts";
import type { Scores } from "./report/types.ts";

/** The result of one method. */
export interface ComparedMethod {
  readonly name: string;
  readonly options: object;
  readonly steps: number;
  readonly samples: number;
  readonly cost: Cost;
  readonly sample: Scores;
  /** Of the mean of the samples, and the mean over pixels of their standard deviation on [-1, 1]; absent for one sample. */
  readonly mean?: Scores;
  readonly deviation?: number;
}

export interface Cell {
  readonly text: string;
  readonly isBest: boolean;
}

export interface CellTable {
  readonly heads: readonly string[];
  readonly rows: readonly (readonly Cell[])[];
}

/** A row for each method's first sample and, where there are several, one for their mean; the best of a measure is marked. */
export function tableOf(methods: readonly ComparedMethod[]): CellTable {
  const rows = methods.flatMap((method) => [
    { name: method.name, scores: method.sample, method },
    ...(method.mean
      ? [{ name: `${method.name}, mean of ${method.samples}`, scores: method.mean, method }]
      : []),
  ]);
  const columns = COLUMNS.filter(({ key }) => rows.some(({ scores }) => scores[key] !== undefined));
  const best = new Map(
    columns.map(({ key, best }) => {
      const values = rows.map(({ scores }) => scores[key] ?? NaN).filter((v) => Number.isFinite(v));
      return [key, best === null ? NaN : best === "largest" ? Math.max(...values) : Math.min(...values)];
    }),
  );
  const plain = (text: string): Cell => ({ text, isBest: false });
  return {
    heads: [
      "method",
      ...columns.map(({ head, unit }) => (unit === "" ? head : `${head} ${unit}`)),
      "deviation",
      "network calls",
      "s/image",
      "GPU memory",
    ],
    rows: rows.map(({ name, scores, method }) => {
      const { cost, deviation, mean } = method;
      // What a mean costs is what its samples cost; what was learned of the measurement was learned once.
      const times = scores === mean ? method.samples : 1;
      const { calls: learned, secondsPerImage: learning } = cost.learning ?? free;
      const prior = learned.prior + times * cost.calls.prior;
      const own = learned.own + times * cost.calls.own;
      return [
        plain(name),
        ...columns.map(({ key, digits }) => {
          const value = scores[key] ?? NaN;
          const text = Number.isFinite(value) ? value.toFixed(digits) : "–";
          return { text, isBest: value === best.get(key) };
        }),
        plain(scores === mean && deviation !== undefined ? deviation.toFixed(3) : ""),
        plain(own > 0 ? `${formatCalls(prior)} + ${formatCalls(own)}` : formatCalls(prior)),
        plain(formatNumber(learning + times * cost.secondsPerImage, 3)),
        plain(formatBytes(cost.peakBytes)),
      ];
    }),
  };
}

const free = { calls: { prior: 0, own: 0 }, secondsPerImage: 0 };

const formatCalls = (calls: number): string => (Number.isInteger(calls) ? String(calls) : calls.toFixed(1));

export const TABLE_NOTE =
  "Calls: of the prior, + of the h-transform, a batch counting one; the way back through the prior that dps, mcg and pgdm take with each call is not counted. A mean counts what its samples took together. deft_soc learns for each picture on its own: its calls and seconds hold that of one picture, whose calls are of a batch of trajectories. Seconds are those of one picture in its batch, compilation left out; memory is that of the first batch without networks that only measure. Deviation: standard deviation of the samples, mean over pixels, on [-1, 1].";

/** Columns aligned by spaces, numbers to the right. */
export function plainText({ heads, rows }: CellTable): string {
  const lines = [heads, ...rows.map((row) => row.map(({ text }) => text))];
  const widths = heads.map((_, c) => Math.max(...lines.map((line) => (line[c] as string).length)));
  return lines
    .map((line) =>
      line
        .map((text, c) => (c === 0 ? text.padEnd(widths[c] as number) : text.padStart(widths[c] as number)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

/** A Markdown table; the best of a measure is bold. */
export function markdown({ heads, rows }: CellTable): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [
    line(heads),
    line(heads.map((_, c) => (c === 0 ? "---" : "---:"))),
    ...rows.map((row) => line(row.map(({ text, isBest }) => (isBest ? `**${text}**` : text)))),
  ].join("\n");
}
