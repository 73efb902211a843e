import { formatBytes, formatCount, formatDuration, formatNumber } from "../format.ts";
import { METHOD_LABELS } from "./labels.ts";
import { markup } from "./markup.ts";
import type { Markup } from "./markup.ts";
import { METHODS, shortfall, unmeasured, WEIGHTED_MEASURES } from "./types.ts";
import type { ReportData, Scores, Summary } from "./types.ts";

/** The measures of a table: head, unit, digits, which end is best. */
export const COLUMNS = [
  { key: "psnr", head: "PSNR", unit: "dB", digits: 2, best: "largest" },
  { key: "ssim", head: "SSIM", unit: "", digits: 3, best: "largest" },
  ...WEIGHTED_MEASURES.map((measure) => ({ ...measure, unit: "" })),
  { key: "consistency", head: "Consistency", unit: "dB", digits: 1, best: null },
] as const;

/** A table of measures for a terminal, a line a row; measures that no row has are left out, those that need weights by name. */
export function measureLines(
  metrics: { readonly [row: string]: Partial<Scores> },
  withoutOriginals = false,
): string[] {
  const rows = Object.entries(metrics);
  const columns = COLUMNS.filter(({ key }) => rows.some(([, scores]) => scores[key] !== undefined));
  const cells = [
    ["", ...columns.map(({ head, unit }) => (unit === "" ? head : `${head} ${unit}`))],
    ...rows.map(([row, scores]) => [
      row,
      ...columns.map(({ key, digits }) => scores[key]?.toFixed(digits) ?? "–"),
    ]),
  ];
  const widths = columns.map((_, c) => Math.max(...cells.map((line) => (line[c + 1] as string).length)));
  const names = Math.max(...cells.map((line) => (line[0] as string).length));
  const lines = cells.map(([name = "", ...rest]) =>
    [name.padEnd(names), ...rest.map((text, c) => text.padStart(widths[c] as number))].join("  "),
  );
  const missing = unmeasured(metrics, withoutOriginals);
  return [...(columns.length > 0 ? lines : []), ...(missing === null ? [] : [missing])];
}

/**
 * The table of measures; methods without measures are named below it, the best of a column is bold.
 * What needs weights has a column where it was measured, else it is named there too.
 */
export function measureTable(metrics: Summary["metrics"], pictures: number): Markup {
  const shown = METHODS.filter((method) => metrics[method] !== undefined);
  const missing = METHODS.filter((method) => metrics[method] === undefined);
  const columns = COLUMNS.filter(({ key }) => shown.some((method) => metrics[method]![key] !== undefined));
  const bestOf = ({ key, best }: (typeof COLUMNS)[number]): number | null => {
    const values = shown.map((method) => metrics[method]![key] ?? NaN).filter((v) => Number.isFinite(v));
    if (best === null) return null;
    return best === "largest" ? Math.max(...values) : Math.min(...values);
  };
  const rows = shown.map((method) => {
    const { name, meaning } = METHOD_LABELS[method];
    const cells = columns.map((column) => {
      const value = metrics[method]![column.key] ?? NaN;
      const text = Number.isFinite(value) ? value.toFixed(column.digits) : "–";
      const isBest = value === bestOf(column);
      return markup`<td>${isBest ? markup`<strong>${text}</strong>` : text}</td>`;
    });
    return markup`<tr><th scope="row">${name}<small>${meaning}</small></th>${cells}</tr>
`;
  });
  const heads = columns.map(
    ({ head, unit }) =>
      markup`<th scope="col">${head}${unit === "" ? undefined : markup`<small>${unit}</small>`}</th>`,
  );
  const smaller = columns.filter(({ best }) => best === "smallest").map(({ head }) => head);
  const notes = [unmeasured(metrics), shortfall(metrics)].filter((note) => note !== null);
  const leftOut =
    missing.length === 0
      ? undefined
      : markup` Left out, not measured for this task: ${missing.map((m) => METHOD_LABELS[m].name).join("; ")}.`;
  return markup`<table class="measures"><thead><tr><td></td>${heads}</tr></thead><tbody>${rows}</tbody></table>
<p class="note">Means over ${formatCount(pictures)} held-out picture${pictures === 1 ? undefined : "s"}; larger is better${smaller.length > 0 ? ` (of ${smaller.join(", ")} smaller)` : undefined}, the best is bold. PSNR and SSIM compare with the original. Consistency compares the restored picture, damaged again, with the measurement y: it tells whether a picture invents what y contradicts. A sample is one possible original, the mean of four the safest guess; so the mean scores higher and looks softer.${leftOut}${notes.map((note) => ` ${note}`)}</p>`;
}

/** The four figures on top: quality, gain, fit, cost; each left out where it was not measured. */
export function keyFigures({ summary }: ReportData): Markup {
  const { deft, deft_mean4: mean, pinv } = summary.metrics;
  const gain = mean && pinv ? mean.psnr - pinv.psnr : NaN;
  const figures: [string | undefined, string][] = [
    [mean && `${mean.psnr.toFixed(1)} dB`, "PSNR, mean of four samples"],
    [
      Number.isFinite(gain) ? `${gain < 0 ? "−" : "+"}${Math.abs(gain).toFixed(1)} dB` : undefined,
      "mean of four against A†y",
    ],
    [deft && `${deft.consistency.toFixed(1)} dB`, "consistency of one sample"],
    [share(summary), "size of the trained network, of the prior’s"],
  ];
  return markup`<dl class="key">${figures
    .filter(([value]) => value !== undefined)
    .map(([value, label]) => markup`<div><dt>${label}</dt><dd>${value}</dd></div>`)}</dl>`;
}

/** Facts of the run as a list of terms. */
export function runFacts(data: ReportData): Markup {
  const { summary } = data;
  const facts: [string, string][] = [
    ["Adapter", summary.adapter.line.replace(/^adapter: /, "")],
    ["Prior, frozen", `${formatCount(summary.parameters.prior)} parameters`],
    ["h-transform, trained", `${formatCount(summary.parameters.htransform)} parameters (${share(summary)})`],
    ["Training", `${formatCount(summary.steps)} steps of ${formatCount(data.batchSize)} pictures`],
    ["Speed", `${formatNumber(data.imagesPerSecond, 3)} images/s`],
    ["Time to train", formatDuration(summary.seconds.train)],
    ["Time to sample", formatDuration(summary.seconds.sample)],
    ["Time in all", formatDuration(summary.seconds.total)],
    ["Network calls", formatCount(summary.network_calls)],
    ["Peak GPU memory", formatBytes(summary.gpu_peak_bytes)],
    ["Seed", String(data.seed)],
    ["SHA-256 of the h-transform", summary.htransform_sha256],
  ];
  return markup`<dl class="facts">${facts.map(
    ([term, value]) => markup`<div><dt>${term}</dt><dd>${value}</dd></div>
`,
  )}</dl>`;
}

function share({ parameters }: Summary): string {
  return `${((100 * parameters.htransform) / parameters.prior).toFixed(1)}\u00a0%`;
}
