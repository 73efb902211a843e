// Which tensors of a pickled object are the weights, and what they are called.
import { CheckpointError } from "./errors.ts";
import { type Pickled } from "./pickle.ts";
import { BYTES } from "./safetensors.ts";
import { quoted } from "./strict-json.ts";
import { StridedTensor } from "./torch-objects.ts";

/** Where training programs put the weights, the moving average first, as it is what they sample from. */
export const WEIGHT_TABLES = [
  "ema_model",
  "ema",
  "model_ema",
  "params_ema",
  "state_dict",
  "model_state_dict",
  "model",
  "params",
] as const;

/** Wrappers of a network, whose names stand before its own: moving averages (then only theirs are taken), DataParallel. */
const WRAPPERS = ["ema_model.", "module."] as const;

const LIMITS = { depth: 32, values: 2_000_000, tensors: 200_000 };

/** An expanded tensor may hold more than the file, up to this many bytes. */
const MAX_EXPANDED = 2 ** 26;

export type NamedTensors = ReadonlyMap<string, StridedTensor>;

/**
 * Every tensor of the object, named by the keys and indices on the way to it, joined by points. `seen` counts
 * values over several calls, since tables may share their contents. Throws CheckpointError.
 */
export function allTensors(root: Pickled, fileSize: number, seen = { values: 0 }): NamedTensors {
  const found = new Map<string, StridedTensor>();
  const walk = (value: Pickled, path: string, depth: number): void => {
    if (++seen.values > LIMITS.values || depth > LIMITS.depth)
      throw new CheckpointError(
        `torch: tables inside one another more than ${LIMITS.depth} deep, or more than ${LIMITS.values} values`,
      );
    if (value instanceof StridedTensor) {
      if (found.has(path)) throw new CheckpointError(`torch: tensor ${quoted(path)} given twice`);
      if (found.size === LIMITS.tensors)
        throw new CheckpointError(`torch: more than ${LIMITS.tensors} tensors`);
      if (value.count * BYTES[value.storage.dtype] > Math.max(fileSize, MAX_EXPANDED))
        throw new CheckpointError(
          `torch: tensor ${quoted(path)} [${value.shape.join(", ")}] is larger than the file, which has ${fileSize} bytes`,
        );
      found.set(path, value);
    } else if (value instanceof Map) {
      for (const [key, inner] of value) walk(inner, path === "" ? String(key) : `${path}.${key}`, depth + 1);
    } else if (Array.isArray(value)) {
      (value as readonly Pickled[]).forEach((v, i) =>
        walk(v, path === "" ? `${i}` : `${path}.${i}`, depth + 1),
      );
    }
  };
  walk(root, "", 0);
  return found;
}

/**
 * The weights among a file's tensors, under their own names: those of the first of WEIGHT_TABLES that the object has; else all,
 * where it holds tensors itself; else those of its only table. A wrapper's prefix is cut off. Throws a CheckpointError that
 * lists the tables where none of this holds.
 */
export function weightTable(root: Pickled, fileSize: number): NamedTensors {
  if (!(root instanceof Map)) return unwrapped(allTensors(root, fileSize));
  const tables = tablesOf(root, fileSize);
  const named = WEIGHT_TABLES.map((name) => tables.get(name)).find((table) => table !== undefined);
  if (named) return unwrapped(named);
  if ([...root.values()].some((value) => value instanceof StridedTensor))
    return unwrapped(allTensors(root, fileSize));
  const [only] = tables.values();
  if (only && tables.size === 1) return unwrapped(only);
  const held = [...tables.keys()].slice(0, 8).map(quoted).join(", ");
  throw new CheckpointError(
    tables.size === 0
      ? "torch: the file holds no tensors"
      : `torch: which table holds the weights is not clear; got ${held}; expected one of ${WEIGHT_TABLES.join(", ")}; save the state dict alone with torch.save`,
  );
}

/** The object's own dicts and lists that hold tensors. */
function tablesOf(root: ReadonlyMap<string | number, Pickled>, fileSize: number): Map<string, NamedTensors> {
  const tables = new Map<string, NamedTensors>();
  const seen = { values: 0 };
  for (const [key, value] of root) {
    if (value instanceof StridedTensor) continue;
    const tensors = allTensors(value, fileSize, seen);
    if (tensors.size > 0) tables.set(String(key), tensors);
  }
  return tables;
}

function unwrapped(table: NamedTensors): NamedTensors {
  for (const wrapper of WRAPPERS) {
    const inner = [...table].filter(([name]) => name.startsWith(wrapper));
    const isWhole = wrapper === "ema_model." ? inner.length > 0 : inner.length === table.size;
    if (inner.length > 0 && isWhole)
      return unwrapped(new Map(inner.map(([name, t]) => [name.slice(wrapper.length), t])));
  }
  return table;
}

/** What the object says beside its tensors: its own plain values, as texts or JSON. */
export function plainValues(root: Pickled): Map<string, string> {
  const plain = new Map<string, string>();
  if (!(root instanceof Map)) return plain;
  for (const [key, value] of root) {
    const text = typeof value === "string" ? value : JSON.stringify(shallow(value));
    if (text !== undefined) plain.set(String(key), text);
  }
  return plain;
}

/** Numbers, texts, truth values and flat lists of them; undefined for everything else. */
function shallow(value: Pickled): unknown {
  const isPlain = (v: Pickled): boolean => v === null || ["string", "number", "boolean"].includes(typeof v);
  if (isPlain(value)) return value;
  return Array.isArray(value) && value.length <= 64 && (value as readonly Pickled[]).every(isPlain)
    ? value
    : undefined;
}
