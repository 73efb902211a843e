// Tuning tables: files that name the fastest kernel variants of one adapter, as `npm run bench -- --tune` measured them.
import { readFile, stat } from "node:fs/promises";
import { UserError } from "../deft/errors.ts";
import { parseStrictJson, quoted, type JsonValue } from "../nn/strict-json.ts";
import { writeAside } from "./write-aside.ts";

/** A table; fits DeviceOptions.tuning. */
export interface TuningTable {
  /** The file that it was read from. */
  readonly source: string;
  /** The adapter and its driver, as the program's first line names them. */
  readonly adapter: string;
  /** Variants by problem, such as "conv2d forward 1x1 s1 p0x0 64>33 7x7 n4". */
  readonly variants: ReadonlyMap<string, string>;
}

const BYTES = 2 ** 20;
const LIMITS = { depth: 2, arrayLength: 0, objectSize: 4096 };
const PROBLEM = /^[a-z0-9-]+( [ -~]{1,120})?$/;
const VARIANT = /^[a-z0-9-]{1,40}$/;

/** Reads a table. Throws a UserError that names the file and what is wrong. */
export async function readTuning(file: string): Promise<TuningTable> {
  const fail = (fact: string): never => {
    throw new UserError(
      `${file}: no tuning table; ${fact}; expected one made by npm run bench -- --tune, or take the file away`,
    );
  };
  const refused = (error: unknown): never => fail((error as NodeJS.ErrnoException).code ?? String(error));
  const { size } = await stat(file).catch(refused);
  if (size > BYTES) fail(`it has ${size} bytes, at most ${BYTES} are read`);
  const text = await readFile(file, "utf8").catch(refused);
  let root: JsonValue = null;
  try {
    root = parseStrictJson(text, LIMITS);
  } catch (error) {
    fail((error as Error).message);
  }
  if (!(root instanceof Map)) return fail("it holds no object");
  const [adapter, variants] = [root.get("adapter"), root.get("variants")];
  if (typeof adapter !== "string" || !(variants instanceof Map) || root.size !== 2)
    return fail('it does not hold "adapter", a text, and "variants", an object, and nothing else');
  const checked = new Map<string, string>();
  for (const [problem, name] of variants) {
    if (!PROBLEM.test(problem)) fail(`${quoted(problem)} is no problem`);
    if (typeof name !== "string" || !VARIANT.test(name))
      return fail(`${quoted(problem)} has no variant's name`);
    checked.set(problem, name);
  }
  return { source: file, adapter, variants: checked };
}

/** Writes a table aside and renames it; problems in order, so that a change is a change of few lines. */
export async function writeTuning({ source, adapter, variants }: TuningTable): Promise<void> {
  const sorted = Object.fromEntries([...variants].sort(([a], [b]) => (a < b ? -1 : 1)));
  const text = `${JSON.stringify({ adapter, variants: sorted }, null, 2)}\n`;
  await writeAside(source, (handle) => handle.writeFile(text));
}

/** The table with the problems in `measured` as they were measured now (null: the usual variant); all others stay. */
export function mergeTuning(table: TuningTable, measured: ReadonlyMap<string, string | null>): TuningTable {
  const variants = new Map(table.variants);
  for (const [problem, name] of measured)
    if (name === null) variants.delete(problem);
    else variants.set(problem, name);
  return { ...table, variants };
}
