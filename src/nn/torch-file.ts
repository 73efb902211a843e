// Files of torch.save, in the zip and the legacy format: the pickled object, and where its storages lie.
import type { ByteSource } from "./byte-source.ts";
import { CheckpointError } from "./errors.ts";
import { PickleEnd, unpickle, type Pickled } from "./pickle.ts";
import { BYTES, MAX_HEADER_BYTES, viewRaw, type RawTensor } from "./safetensors.ts";
import { quoted } from "./strict-json.ts";
import { TorchRules, type Storage, type StridedTensor } from "./torch-objects.ts";
import { entryStart, readZip, type ZipEntry } from "./zip.ts";

export interface TorchFile {
  readonly root: Pickled;
  /** Where the elements of each storage begin in the file. */
  readonly places: ReadonlyMap<Storage, number>;
}

/** Bytes that isTorch looks at. */
export const TORCH_START = 4;

/** Whether a file that begins so is one of torch.save: an archive, or a pickle of its magic number. */
export function isTorch(first: Uint8Array): boolean {
  const [a, b, c, d] = first;
  if (a === 0x50 && b === 0x4b) return c === 3 && d === 4;
  // PROTO 2 to 5, then LONG1 of 10 bytes, in a FRAME or not.
  return (
    a === 0x80 && b !== undefined && b >= 2 && b <= 5 && ((c === 0x8a && d === 10) || (c === 0x95 && d !== 0))
  );
}

/**
 * The object and the places of its storages; nothing of it is executed (pickle.ts, torch-objects.ts) and no elements are read.
 * The file is taken as hostile: all counts and sizes are checked against its size. Throws CheckpointError.
 */
export async function parseTorch(source: ByteSource): Promise<TorchFile> {
  const first = await source.read(0, Math.min(TORCH_START, source.size));
  return first[0] === 0x50 ? parseArchive(source) : parseLegacy(source);
}

async function parseArchive(source: ByteSource): Promise<TorchFile> {
  const entries = await readZip(source);
  const pickles = [...entries.values()].filter(
    ({ name }) => name === "data.pkl" || name.endsWith("/data.pkl"),
  );
  const [entry] = pickles;
  if (!entry || pickles.length > 1)
    throw new CheckpointError(`torch: the archive has ${pickles.length} entries data.pkl; expected one`);
  const prefix = entry.name.slice(0, -"data.pkl".length);
  const order = entries.get(`${prefix}byteorder`);
  if (order && new TextDecoder().decode(await readEntry(source, order, 16)).trim() !== "little")
    throw new CheckpointError("torch: the numbers are not little-endian; save the file on another machine");
  const rules = new TorchRules();
  const bytes = await readEntry(source, entry, MAX_HEADER_BYTES);
  const { value, end } = unpickle(bytes, 0, rules);
  if (end !== bytes.length)
    throw new CheckpointError(`torch: data.pkl has ${bytes.length - end} bytes after its STOP`);
  const places = new Map<Storage, number>();
  for (const storage of rules.storages.values()) {
    const data = entries.get(`${prefix}data/${storage.key}`);
    if (!data) throw new CheckpointError(`torch: storage ${quoted(storage.key)} is not in the archive`);
    if (data.bytes !== storage.bytes) throw sizes(storage, data.bytes);
    places.set(storage, await entryStart(source, data));
  }
  return { root: value, places };
}

async function readEntry(source: ByteSource, entry: ZipEntry, most: number): Promise<Uint8Array> {
  if (entry.bytes > most)
    throw new CheckpointError(`torch: entry ${quoted(entry.name)} has ${entry.bytes} bytes; at most ${most}`);
  return source.read(await entryStart(source, entry), entry.bytes);
}

const MAGIC = 0x1950a86a20f9469cfc6cn;
const LEGACY_PROTOCOL = 1001;

/** Where reading the pickles of a legacy file begins: their length is not told. */
const FIRST_BYTES = 2 ** 20;

async function parseLegacy(source: ByteSource): Promise<TorchFile> {
  const most = Math.min(source.size, MAX_HEADER_BYTES);
  for (let length = Math.min(most, FIRST_BYTES); ; length = Math.min(most, length * 8)) {
    try {
      const { root, rules, keys, end } = legacyPickles(await source.read(0, length));
      return { root, places: await legacyPlaces(source, rules, keys, end) };
    } catch (error) {
      if (!(error instanceof PickleEnd) || length === most) throw error;
    }
  }
}

function legacyPickles(bytes: Uint8Array): { root: Pickled; rules: TorchRules; keys: Pickled; end: number } {
  let end = 0;
  const rules = new TorchRules();
  const next = (): Pickled => {
    const { value, end: after } = unpickle(bytes, end, rules);
    end = after;
    return value;
  };
  const [magic, version, system] = [next(), next(), next()];
  if (magic !== MAGIC || version !== LEGACY_PROTOCOL)
    throw new CheckpointError("torch: not the magic number and version of torch.save");
  if (system instanceof Map && system.get("little_endian") === false)
    throw new CheckpointError("torch: the numbers are not little-endian; save the file on another machine");
  return { root: next(), rules, keys: next(), end };
}

/** Each storage is its count in 8 bytes, then its elements, in the order of the keys; nothing comes after. */
async function legacyPlaces(
  source: ByteSource,
  { storages }: TorchRules,
  keys: Pickled,
  begin: number,
): Promise<Map<Storage, number>> {
  if (!Array.isArray(keys) || keys.length !== storages.size)
    throw new CheckpointError(`torch: the list of keys is not that of the ${storages.size} storages`);
  const places = new Map<Storage, number>();
  let at = begin;
  for (const key of keys as readonly Pickled[]) {
    const storage = typeof key === "string" ? storages.get(key) : undefined;
    if (!storage || places.has(storage))
      throw new CheckpointError(`torch: the list of keys is not that of the ${storages.size} storages`);
    if (at + 8 + storage.bytes > source.size)
      throw new CheckpointError(
        `torch: storage ${quoted(storage.key)} takes ${storage.bytes} bytes; ${Math.max(0, source.size - at - 8)} are left of the file`,
      );
    const head = await source.read(at, 8);
    const count = new DataView(head.buffer).getBigInt64(0, true);
    if (count !== BigInt(storage.count)) throw sizes(storage, Number(count) * BYTES[storage.dtype]);
    places.set(storage, at + 8);
    at += 8 + storage.bytes;
  }
  if (at !== source.size)
    throw new CheckpointError(`torch: ${source.size - at} bytes come after the last storage`);
  return places;
}

const sizes = ({ key, dtype, count, bytes }: Storage, found: number): CheckpointError =>
  new CheckpointError(
    `torch: storage ${quoted(key)} is ${dtype} [${count}], ${bytes} bytes; the file has ${found} for it`,
  );

/** A tensor's elements in row-major order, as stored; only the run of its storage that it touches is read. */
export async function readTorch(
  source: ByteSource,
  { places }: TorchFile,
  { storage, offset, shape, strides, count }: StridedTensor,
): Promise<RawTensor> {
  const { dtype } = storage;
  const place = places.get(storage);
  if (place === undefined)
    throw new CheckpointError(`torch: storage ${quoted(storage.key)} is not of this file`);
  const span =
    count === 0 ? 0 : shape.reduce((sum, size, axis) => sum + (size - 1) * (strides[axis] as number), 1);
  const run = viewRaw(dtype, await source.read(place + offset * BYTES[dtype], span * BYTES[dtype]));
  return isRowMajor(shape, strides) ? run : gather(dtype, run, shape, strides, count);
}

function isRowMajor(shape: readonly number[], strides: readonly number[]): boolean {
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] as number;
    if (size > 1 && strides[axis] !== step) return false;
    step *= size;
  }
  return true;
}

function gather(
  dtype: Storage["dtype"],
  run: RawTensor,
  shape: readonly number[],
  strides: readonly number[],
  count: number,
): RawTensor {
  const out = viewRaw(dtype, new Uint8Array(count * BYTES[dtype]));
  const index = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < count; i++) {
    out[i] = run[from] as number & bigint;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [size, stride] = [shape[axis] as number, strides[axis] as number];
      from += stride;
      index[axis] = (index[axis] as number) + 1;
      if ((index[axis] as number) < size) break;
      from -= stride * size;
      index[axis] = 0;
    }
  }
  return out;
}
