// What a kind's handler is given: the entry's config, its tensors on the host or the GPU, and its networks' weights.
import type { Engine, Tensor, TypedData } from "../../../src/tensor/index.ts";
import type { Fixture, Folder, Json, Stored } from "./manifest.ts";

export type { Values } from "./manifest.ts";

/** Thrown where the library does not have what an entry asks for: the entry then counts as unsupported. */
export class Unsupported extends Error {}

export type Result = ReadonlyMap<string, ArrayLike<number>>;
export type Handler = (entry: Entry) => Promise<Result>;

/** A network's tensors by their names in the state dict. */
export type StateDict = ReadonlyMap<string, Stored>;

export type Config = Fixture["config"];

export class Entry {
  readonly engine: Engine;
  readonly folder: Folder;
  readonly fixture: Fixture;
  readonly tensors: ReadonlyMap<string, Stored>;
  readonly #held: Tensor[] = [];

  constructor(engine: Engine, folder: Folder, fixture: Fixture, tensors: ReadonlyMap<string, Stored>) {
    this.engine = engine;
    this.folder = folder;
    this.fixture = fixture;
    this.tensors = tensors;
  }

  get config(): Config {
    return this.fixture.config;
  }

  /** A stored tensor, or an Error that names it. */
  stored(name: string): Stored {
    const found = this.tensors.get(name);
    if (!found) throw new Error(`no tensor ${JSON.stringify(name)} in the file`);
    return found;
  }

  /** Values of a stored tensor as plain numbers: labels, timesteps, indices. */
  numbers(name: string): number[] {
    return Array.from(this.stored(name).data);
  }

  /** A stored tensor on the GPU as f32, in its own shape or another; owned by the scope around. */
  tensor(name: string, shape?: readonly number[]): Tensor {
    const { data, shape: own } = this.stored(name);
    return this.engine.tensor(f32(data), shape ?? own, name);
  }

  /** Takes a tensor out of every scope until release(): for what an operator or a sampler holds on to. */
  hold(t: Tensor): Tensor {
    this.#held.push(t.keep());
    return t;
  }

  /** Gives back what is held. */
  release(): void {
    for (const t of this.#held.splice(0)) t.dispose();
  }

  /** Shape of an output as recorded, or undefined when the entry has none of that name. */
  outputShape(name: string): readonly number[] | undefined {
    return this.fixture.outputs.find((o) => o.name === name)?.shape;
  }

  /** Runs `fn` in a scope and reads what it returns: the way from tensors to results. */
  async compute(fn: () => Record<string, Tensor>): Promise<Map<string, ArrayLike<number>>> {
    const tensors = this.engine.scope(fn);
    const result = new Map<string, ArrayLike<number>>();
    for (const [name, t] of Object.entries(tensors)) result.set(name, await t.read());
    for (const t of Object.values(tensors)) t.dispose();
    return result;
  }

  /**
   * y = f() and the gradients of sum(y·r) by named leaves: g_<name> in the result. `r` is the stored cotangent, reshaped to
   * y; leaves are marked by the caller before f uses them.
   */
  differentiate(
    leaves: Record<string, Tensor>,
    y: Tensor,
    r: Tensor = this.tensor("r", y.shape),
  ): Record<string, Tensor> {
    const grads = this.engine.gradients(y, Object.values(leaves), r);
    return Object.fromEntries(
      Object.entries(leaves).map(([name, leaf], i) => [name, grads[i] ?? zeros(this.engine, leaf.shape)]),
    );
  }

  /** Tensors named w.* of the fixtures that weights_from names (those chosen), then this entry's own over them. */
  async stateDict(
    choose: (source: Fixture, role: string | undefined) => boolean,
    own: boolean,
  ): Promise<Map<string, Stored>> {
    const state = new Map<string, Stored>();
    for (const { fixture, prefix, role } of this.fixture.weights_from ?? []) {
      const source = this.folder.fixture(fixture);
      if (!choose(source, role)) continue;
      const nested = new Entry(this.engine, this.folder, source, await this.folder.read(source));
      // A source may itself refer to others.
      const tensors =
        prefix === "w." ? await nested.stateDict(() => true, true) : pick(nested.tensors, prefix);
      for (const [name, t] of tensors) state.set(name, t);
    }
    if (own) for (const [name, t] of pick(this.tensors, "w.")) state.set(name, t);
    return state;
  }
}

/** Tensors under a prefix, without it. */
export function pick(tensors: ReadonlyMap<string, Stored>, prefix: string): Map<string, Stored> {
  return new Map(
    [...tensors]
      .filter(([name]) => name.startsWith(prefix))
      .map(([name, t]) => [name.slice(prefix.length), t]),
  );
}

export const f32 = (data: ArrayLike<number>): Float32Array<ArrayBuffer> =>
  data instanceof Float32Array ? (data as Float32Array<ArrayBuffer>) : Float32Array.from(data);

export const i32 = (data: ArrayLike<number>): TypedData => Int32Array.from(data);

export const zeros = (engine: Engine, shape: readonly number[]): Tensor =>
  engine.tensor(new Float32Array(shape.reduce((a, b) => a * b, 1)), shape);

/** Marks a leaf for gradients. */
export function leaf(t: Tensor): Tensor {
  t.requiresGrad = true;
  return t;
}

/** Entries of `values` that a strided sample of size k holds: flat index floor(j·n/k), all when n <= k. */
export function strided(values: ArrayLike<number>, k: number): number[] {
  const n = values.length;
  const indices =
    n <= k
      ? Array.from({ length: n }, (_, j) => j)
      : Array.from({ length: k }, (_, j) => Math.floor((j * n) / k));
  return indices.map((i) => values[i] as number);
}

// Reading configs: a wrong type is an error that names the key, an absent one the default.

export function num(config: Config, key: string, fallback?: number): number {
  const v = config[key] ?? fallback;
  if (typeof v !== "number") throw new Error(`config.${key}: ${JSON.stringify(v)}; expected a number`);
  return v;
}

export function flag(config: Config, key: string, fallback = false): boolean {
  const v = config[key] ?? fallback;
  if (typeof v !== "boolean") throw new Error(`config.${key}: ${JSON.stringify(v)}; expected true or false`);
  return v;
}

export function text(config: Config, key: string, fallback?: string): string {
  const v = config[key] ?? fallback;
  if (typeof v !== "string") throw new Error(`config.${key}: ${JSON.stringify(v)}; expected a text`);
  return v;
}

/** A list of numbers, a comma text such as "1,1,2", or one number. */
export function list(config: Config, key: string, fallback?: readonly number[]): number[] {
  const v: Json | undefined = config[key] ?? fallback;
  if (typeof v === "number") return [v];
  const parts = typeof v === "string" ? v.split(",").filter((s) => s.trim() !== "") : v;
  if (!Array.isArray(parts))
    throw new Error(`config.${key}: ${JSON.stringify(v)}; expected a list of numbers`);
  return parts.map(Number);
}

export function group(config: Config, key: string): Config {
  const v = config[key];
  if (v === null || typeof v !== "object" || Array.isArray(v))
    throw new Error(`config.${key}: ${JSON.stringify(v)}; expected a group`);
  return v as Config;
}

export function groups(config: Config, key: string): Config[] {
  const v = config[key];
  if (!Array.isArray(v)) throw new Error(`config.${key}: ${JSON.stringify(v)}; expected a list`);
  return v as Config[];
}

/** A number as Python prints a float: 0.0, 0.5, 1.0. */
export const pythonFloat = (v: number): string => (Number.isInteger(v) ? v.toFixed(1) : String(v));
