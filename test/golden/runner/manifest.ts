// The manifest of a folder of recorded numbers, and its safetensors files.
import { readFile } from "node:fs/promises";
import path from "node:path";
import { UserError } from "../../../src/deft/errors.ts";
import { openWeights, type OpenOptions } from "../../../src/io/weights.ts";
import type { Compare } from "./compare.ts";

export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
}

export interface WeightsFrom {
  readonly fixture: string;
  readonly prefix: string;
  readonly role?: "prior" | "htransform";
}

export interface Fixture {
  readonly id: string;
  readonly group: string;
  readonly kind: string;
  readonly file: string;
  readonly config: { readonly [key: string]: Json };
  readonly weights_from?: readonly WeightsFrom[];
  readonly inputs?: readonly TensorEntry[];
  readonly outputs: readonly (TensorEntry & Compare)[];
  readonly extra_files?: readonly { readonly file: string }[];
  readonly tensor_lists?: { readonly [name: string]: readonly string[] };
}

export type Values = Float32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** One stored tensor; integers as numbers in float64, float32 as it is. */
export interface Stored {
  readonly shape: readonly number[];
  readonly dtype: string;
  readonly data: Values;
}

export interface Folder {
  readonly path: string;
  readonly fixtures: readonly Fixture[];
  /** Fixture by id, or an Error that names it. */
  fixture(id: string): Fixture;
  /** All tensors of a fixture's file. */
  read(fixture: Fixture): Promise<ReadonlyMap<string, Stored>>;
}

/** Opens a folder of recorded numbers by its manifest.json; a UserError where there is none. Files are read when asked for. */
export async function openFolder(folder: string): Promise<Folder> {
  const file = path.join(folder, "manifest.json");
  const content = await readFile(file, "utf8").catch((error: unknown) => {
    throw new UserError(`${file}: cannot be read; pass a folder of recorded numbers`, { cause: error });
  });
  const manifest = JSON.parse(content) as { fixtures: Fixture[] };
  const byId = new Map(manifest.fixtures.map((f) => [f.id, f]));
  return {
    path: folder,
    fixtures: manifest.fixtures,
    fixture(id) {
      const found = byId.get(id);
      if (!found) throw new Error(`no fixture ${JSON.stringify(id)} in the manifest`);
      return found;
    },
    read: (fixture) => readTensors(path.join(folder, fixture.file)),
  };
}

/** All tensors of a weight file. */
export async function readTensors(file: string, options: OpenOptions = {}): Promise<Map<string, Stored>> {
  const source = await openWeights(file, options);
  try {
    const tensors = new Map<string, Stored>();
    for (const name of source.names) {
      const { dtype, shape } = source.info(name);
      const raw = await source.read(name);
      const isFloat = raw instanceof Float32Array || raw instanceof Float64Array;
      const isSmallFloat = dtype === "F16" || dtype === "BF16";
      const data = isFloat
        ? raw
        : isSmallFloat
          ? await source.readF32(name)
          : Float64Array.from(raw as Int32Array, Number);
      tensors.set(name, { dtype, shape, data });
    }
    return tensors;
  } finally {
    await source.close();
  }
}
