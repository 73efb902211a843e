import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { UserError } from "../deft/errors.ts";
import { writeAside } from "../io/write-aside.ts";

/** One row of stats.jsonl, written every `log_freq` steps. */
export interface StatsRow {
  step: number;
  epoch: number;
  /** Loss of the step; NaN is stored as null. */
  loss: number;
  lr: number;
  images_per_s: number;
  gpu_live_bytes: number;
  gpu_peak_bytes: number;
  heap_bytes: number;
  /** Seconds of training up to here, over all resumed parts. */
  time_s: number;
}

/** Adds a row to the file, made when absent, in one write: a killed run tears at most the last line. */
export function appendStats(file: string, row: StatsRow): void {
  appendFileSync(file, `${JSON.stringify(row)}\n`);
}

/** The rows of the file in order; a torn last line is left out, an absent file has none. */
export function readStats(file: string): StatsRow[] {
  return readLines(file).lines.map(({ row }) => row);
}

/**
 * Removes the rows after `step`, the step of the checkpoint that a run resumes from, and a torn last line, so
 * that no step stands twice. Writes aside and renames; kept lines stay as they are. Returns the rows kept.
 */
export async function cutBack(file: string, step: number): Promise<number> {
  const { lines, isTorn } = readLines(file);
  const kept = lines.filter(({ row }) => row.step <= step);
  if (isTorn || kept.length < lines.length) {
    const text = kept.map((line) => `${line.text}\n`).join("");
    await writeAside(file, (handle) => handle.writeFile(text));
  }
  return kept.length;
}

interface StatsLine {
  text: string;
  row: StatsRow;
}

function readLines(file: string): { lines: StatsLine[]; isTorn: boolean } {
  if (!existsSync(file)) return { lines: [], isTorn: false };
  const texts = readFileSync(file, "utf8").split("\n");
  // What follows the last line break is empty, or a row whose write was cut off.
  const isTorn = texts.pop() !== "";
  return { lines: texts.map((text, i) => ({ text, row: parseRow(file, text, i + 1) })), isTorn };
}

function parseRow(file: string, text: string, line: number): StatsRow {
  try {
    const row = JSON.parse(text) as StatsRow;
    if (Number.isInteger(row.step)) return { ...row, loss: row.loss ?? NaN };
  } catch {
    // Falls through to the one message for every line that is not a row.
  }
  throw new UserError(
    `${file}: line ${line} is not a row of statistics; got ${JSON.stringify(text.slice(0, 60))}; ` +
      "remove the line or the file, training does not need it",
  );
}
