// Which tuning table a run takes: the user's, else the shipped one of the adapter. A run keeps it, so that resuming gives equal bits.
import { existsSync } from "node:fs";
import path from "node:path";
import { UserError } from "../deft/errors.ts";
import { mergeTuning, readTuning, writeTuning, type TuningTable } from "../io/tuning.ts";
import { ownPackage } from "./packages.ts";

/** In a run's folder: the table that it was begun with. */
const RECORD = "tuning.json";

/** Where the table of an adapter is shipped, if it has one. */
export function shippedTuning(adapter: string): string {
  const name = adapter.toLowerCase().replace(/[^a-z0-9.]+/g, "-");
  return path.join(ownPackage().folder, "assets", "tuning", `${name.replace(/^-|-$/g, "")}.json`);
}

/** Merges what was measured into the table of an adapter, or in `file`, and writes it. Throws a UserError for that of another. */
export async function saveMeasured(
  adapter: string,
  measured: ReadonlyMap<string, string | null>,
  file = shippedTuning(adapter),
): Promise<TuningTable> {
  const before = existsSync(file)
    ? await readTuning(file)
    : { source: file, adapter, variants: new Map<string, string>() };
  if (before.adapter !== adapter)
    throw new UserError(
      `${file}: is of another adapter; got ${before.adapter}; expected ${adapter}; name another file`,
    );
  const after = mergeTuning(before, measured);
  await writeTuning(after);
  return after;
}

/** DEFT_TUNING: a file, "none", or nothing: null. Throws a UserError for a table of another adapter. */
async function asked(adapter: string): Promise<TuningTable | null> {
  const given = process.env["DEFT_TUNING"];
  if (!given) return null;
  if (given === "none") return { source: "DEFT_TUNING", adapter, variants: new Map() };
  const table = await readTuning(given);
  if (table.adapter === adapter) return table;
  throw new UserError(
    `DEFT_TUNING: ${given} is of another adapter; got ${table.adapter}; expected ${adapter}; unset it, or make a table with npm run bench -- --tune`,
  );
}

/** The table of an adapter: that of DEFT_TUNING (a file, or "none"), else the shipped one, else an empty one. Throws UserError. */
export async function tuningOf(adapter: string): Promise<TuningTable> {
  const table = await asked(adapter);
  if (table) return table;
  const file = shippedTuning(adapter);
  const shipped = existsSync(file) ? await readTuning(file) : null;
  // Names of files are shorter than those of adapters: two could share one.
  return shipped?.adapter === adapter ? shipped : { source: file, adapter, variants: new Map() };
}

/**
 * The same for a run that goes on in `folder`: the table that it was begun with (one from before there were tables had none), on
 * another adapter than before that adapter's. Throws a UserError where DEFT_TUNING asks for other variants.
 */
export async function resumedTuning(adapter: string, folder: string): Promise<TuningTable> {
  const file = path.join(folder, RECORD);
  const recorded = existsSync(file)
    ? await readTuning(file)
    : { source: file, adapter, variants: new Map<string, string>() };
  if (recorded.adapter !== adapter) return tuningOf(adapter);
  const other = await asked(adapter);
  if (other && !same(other, recorded))
    throw new UserError(
      `DEFT_TUNING: the run in ${folder} was begun with other kernels, and resuming must give the same bits; unset DEFT_TUNING, or pass another exp.name`,
    );
  return recorded;
}

/** Keeps the table with the run. */
export const recordTuning = (folder: string, table: TuningTable): Promise<void> =>
  writeTuning({ ...table, source: path.join(folder, RECORD) });

function same({ variants: a }: TuningTable, { variants: b }: TuningTable): boolean {
  return a.size === b.size && [...a].every(([problem, name]) => b.get(problem) === name);
}
