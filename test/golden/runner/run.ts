// Runs every entry of a folder and says which outputs are within their tolerances.
import type { Engine } from "../../../src/tensor/index.ts";
import { difference } from "./compare.ts";
import { Entry, Unsupported, type Result } from "./entry.ts";
import { handlerOf } from "./kinds.ts";
import type { Fixture, Folder } from "./manifest.ts";

export interface Outside {
  readonly id: string;
  readonly kind: string;
  /** Name of the output; null where the entry failed as a whole. */
  readonly output: string | null;
  /** Error against tolerance, or what failed. */
  readonly problem: string;
}

export interface Report {
  readonly within: number;
  /** Entries within of which no output is compared: that they ran is all that is known. */
  readonly uncompared: readonly string[];
  readonly outside: readonly Outside[];
  /** Entries with something outside. */
  readonly entriesOutside: number;
  readonly unsupported: number;
  /** Kinds with an unsupported entry, and the first reason of each. */
  readonly unsupportedKinds: ReadonlyMap<string, string>;
}

export interface RunOptions {
  /** Only entries whose id this matches. */
  readonly only?: RegExp;
  /** Told of each entry when it is done, with its time in milliseconds. */
  readonly onEntry?: (fixture: Fixture, milliseconds: number) => void;
  readonly onOutside?: (outside: Outside) => void;
}

/** Every entry of the folder's manifest on the engine's device, one after another. */
export async function runFolder(engine: Engine, folder: Folder, options: RunOptions = {}): Promise<Report> {
  const outside: Outside[] = [];
  const uncompared: string[] = [];
  const unsupportedKinds = new Map<string, string>();
  let [within, entriesOutside, unsupported] = [0, 0, 0];
  for (const fixture of folder.fixtures) {
    if (options.only && !options.only.test(fixture.id)) continue;
    const started = performance.now();
    try {
      const found = await check(engine, folder, fixture);
      if (found.length > 0) entriesOutside++;
      else within++;
      if (found.length === 0 && comparesNothing(fixture)) uncompared.push(fixture.id);
      for (const o of found) options.onOutside?.(o);
      outside.push(...found);
    } catch (error) {
      if (!(error instanceof Unsupported)) throw error;
      unsupported++;
      if (!unsupportedKinds.has(fixture.kind)) unsupportedKinds.set(fixture.kind, error.message);
    }
    options.onEntry?.(fixture, performance.now() - started);
  }
  return { within, uncompared, outside, entriesOutside, unsupported, unsupportedKinds };
}

/** Whether the manifest asks to compare no output of the entry. */
export const comparesNothing = ({ outputs }: Fixture): boolean =>
  outputs.every(({ compare }) => compare === "skip");

/** What is outside of one entry. Throws Unsupported. */
async function check(engine: Engine, folder: Folder, fixture: Fixture): Promise<Outside[]> {
  const { id, kind } = fixture;
  const handler = handlerOf(kind);
  if (!handler) throw new Unsupported("not there yet");
  const fail = (output: string | null, problem: string): Outside => ({ id, kind, output, problem });
  let entry: Entry | undefined;
  let result: Result;
  try {
    entry = new Entry(engine, folder, fixture, await folder.read(fixture));
    result = await handler(entry);
  } catch (error) {
    if (error instanceof Unsupported) throw error;
    return [fail(null, error instanceof Error ? `${error.name}: ${error.message}` : String(error))];
  } finally {
    entry?.release();
    engine.dropTape();
  }
  const found: Outside[] = [];
  for (const output of fixture.outputs) {
    if (output.compare === "skip") continue;
    const got = result.get(output.name);
    const problem = got ? difference(got, entry.stored(output.name).data, output) : "not computed";
    if (problem) found.push(fail(output.name, problem));
  }
  return found;
}
