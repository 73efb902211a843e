// Between flat GPU tensors and named host arrays: initial values, loading (strict), reading back.
import { Philox, showShape, sizeOf, type Tensor } from "../tensor/index.ts";
import { CheckpointError } from "./errors.ts";
import type { Init, ParameterSet } from "./parameter.ts";

export interface NamedArray {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array<ArrayBuffer>;
}

/** Where weights come from: a file reader or a map. */
export interface WeightSource {
  readonly names: readonly string[];
  shape(name: string): readonly number[];
  read(name: string): Promise<Float32Array<ArrayBuffer>>;
}

/** The numbers of an init, one a call. */
export function drawInit(init: Init, random: Philox): () => number {
  if (typeof init === "number") return () => init;
  if ("bound" in init) return () => (2 * random.uniform() - 1) * init.bound;
  return () => random.normal() * init.normal;
}

/** Starting values by each parameter's init; parameter k draws from stream k of the seed, so adding one changes no other. */
export function initialise(set: ParameterSet, seed: number): void {
  set.parameters.forEach((p, k) => {
    const draw = drawInit(p.init, new Philox(seed, k));
    set.write(p, Float32Array.from({ length: sizeOf(p.shape) }, draw));
  });
}

/**
 * Loads every parameter from `source`, whose names are the parameters' with `prefix` before them. Strict: missing,
 * unexpected (under the prefix) and misshaped entries are counted in one CheckpointError, a few named, before anything is written.
 */
export async function loadWeights(
  set: ParameterSet,
  source: WeightSource,
  prefix = "",
  what = "weights",
): Promise<void> {
  const present = new Set(source.names);
  const wanted = new Set(set.parameters.map((p) => prefix + p.name));
  const missing = [...wanted].filter((n) => !present.has(n));
  const unexpected = source.names.filter((n) => n.startsWith(prefix) && !wanted.has(n));
  const misshaped = set.parameters
    .filter((p) => present.has(prefix + p.name))
    .map((p) => ({ p, shape: source.shape(prefix + p.name) }))
    .filter(({ p, shape }) => shape.length !== p.shape.length || shape.some((v, i) => v !== p.shape[i]))
    .map(
      ({ p, shape }) => `${prefix}${p.name} is ${showShape(shape)}, the network takes ${showShape(p.shape)}`,
    );
  const some = (list: readonly string[], most: number) =>
    `${list.length} (${list.slice(0, most).join(", ")}${list.length > most ? ", …" : ""})`;
  const problems = [
    missing.length > 0 ? `missing ${some(missing, 2)}` : "",
    unexpected.length > 0 ? `unexpected ${some(unexpected, 2)}` : "",
    misshaped.length > 0 ? `of another shape ${some(misshaped, 1)}` : "",
  ].filter(Boolean);
  if (problems.length > 0)
    throw new CheckpointError(
      `${what}: does not fit the network: ${problems.join("; ")}; check the file, and the model's channels, channel_mult and attention options`,
    );
  for (const p of set.parameters) set.write(p, await source.read(prefix + p.name));
}

/** Reads flat tensors in the layout of `set` (the weights, an average, optimiser state) back by name. */
export async function readState(
  set: ParameterSet,
  flat: readonly Tensor[] = set.flat,
  prefix = "",
): Promise<NamedArray[]> {
  const host: Float32Array<ArrayBuffer>[] = [];
  for (const t of flat) host.push(await t.read());
  return set.places.map(({ parameter, chunk, start }) => ({
    name: prefix + parameter.name,
    shape: parameter.shape,
    data: (host[chunk] as Float32Array<ArrayBuffer>).slice(start, start + sizeOf(parameter.shape)),
  }));
}

/** Writes named arrays into flat tensors of the layout of `set`: the inverse of readState. */
export async function writeState(
  set: ParameterSet,
  flat: readonly Tensor[],
  source: WeightSource,
  prefix: string,
): Promise<void> {
  const views = set.views(flat);
  for (const [p, t] of views) {
    t.write(await source.read(prefix + p.name));
    t.dispose();
  }
}
