// The directory of a zip archive (PKWARE APPNOTE 6.3), stored entries only.
import type { ByteSource } from "./byte-source.ts";
import { CheckpointError } from "./errors.ts";
import { MAX_HEADER_BYTES } from "./safetensors.ts";
import { quoted } from "./strict-json.ts";

const LOCAL = 0x04034b50;
const CENTRAL = 0x02014b50;
const END = 0x06054b50;
const END64 = 0x06064b50;
const LOCATOR64 = 0x07064b50;
const FULL16 = 0xffff;
const FULL32 = 0xffffffff;
const ENCRYPTED = 1;

/** Archives with more entries than networks have tensors are refused. */
const MAX_ENTRIES = 200_000;

export interface ZipEntry {
  readonly name: string;
  readonly bytes: number;
  /** Where its local header begins, and where the next entry or the directory does. */
  readonly start: number;
  readonly limit: number;
}

/**
 * The entries by name, from the directory at the end of the file. Taken as hostile: counts, sizes and places are checked against
 * the file; compressed, encrypted and overlapping entries and names given twice are refused. Throws CheckpointError.
 */
export async function readZip(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const { count, start, bytes } = await findDirectory(source);
  if (count > MAX_ENTRIES || bytes > MAX_HEADER_BYTES)
    throw wrong(
      `${count} entries in a directory of ${bytes} bytes; at most ${MAX_ENTRIES} and ${MAX_HEADER_BYTES}`,
    );
  const directory = await source.read(start, bytes);
  const view = viewOf(directory);
  const found: Omit<ZipEntry, "limit">[] = [];
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + 46 > bytes || view.getUint32(at, true) !== CENTRAL)
      throw wrong(`entry ${i} of ${count} is not there`);
    const [nameBytes, extraBytes] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true)];
    const next = at + 46 + nameBytes + extraBytes + view.getUint16(at + 32, true);
    if (next > bytes) throw wrong(`entry ${i} of ${count} reaches past the directory`);
    const name = new TextDecoder().decode(directory.subarray(at + 46, at + 46 + nameBytes));
    const extra = directory.subarray(at + 46 + nameBytes, at + 46 + nameBytes + extraBytes);
    found.push(entryOf(view, at, name, extra));
    at = next;
  }
  if (at !== bytes) throw wrong(`the directory has ${bytes - at} bytes more than its ${count} entries`);
  return placed(found, start);
}

/** Where an entry's bytes begin, which its local header tells. */
export async function entryStart(source: ByteSource, entry: ZipEntry): Promise<number> {
  const { name, start, limit, bytes } = entry;
  const header = viewOf(await source.read(start, 30));
  if (header.getUint32(0, true) !== LOCAL) throw wrong(`entry ${quoted(name)} has no local header`);
  const begin = start + 30 + header.getUint16(26, true) + header.getUint16(28, true);
  if (begin + bytes > limit) throw wrong(`entry ${quoted(name)} overlaps what comes after it`);
  return begin;
}

/** Number of entries, start and size of the directory; it ends where the end record begins. */
async function findDirectory(source: ByteSource): Promise<{ count: number; start: number; bytes: number }> {
  const length = Math.min(source.size, 20 + 22 + FULL16);
  const tailStart = source.size - length;
  const tail = viewOf(await source.read(tailStart, length));
  let at = length - 22;
  while (at >= 0 && !(tail.getUint32(at, true) === END && at + 22 + tail.getUint16(at + 20, true) === length))
    at--;
  if (at < 0) throw wrong("no end of a directory; the file is cut short or no archive");
  let [count, bytes, start] = [
    tail.getUint16(at + 10, true),
    tail.getUint32(at + 12, true),
    tail.getUint32(at + 16, true),
  ];
  let end = tailStart + at;
  // torch.save writes the records of zip64 always, not only where a number needs them.
  const locator = at >= 20 ? at - 20 : undefined;
  if (locator !== undefined && tail.getUint32(locator, true) === LOCATOR64) {
    end = big(tail, locator + 8);
    if (end + 56 > source.size) throw wrong("the end record of zip64 lies outside of the file");
    const record = viewOf(await source.read(end, 56));
    if (record.getUint32(0, true) !== END64) throw wrong("no end record of zip64");
    [count, bytes, start] = [big(record, 32), big(record, 40), big(record, 48)];
  }
  if (start + bytes !== end)
    throw wrong(
      `the directory is said to take bytes ${start} to ${start + bytes}; expected it to end at ${end}`,
    );
  return { count, start, bytes };
}

function entryOf(view: DataView, at: number, name: string, extra: Uint8Array): Omit<ZipEntry, "limit"> {
  const fail = (fact: string): CheckpointError => wrong(`entry ${quoted(name)} ${fact}`);
  if ((view.getUint16(at + 8, true) & ENCRYPTED) !== 0) throw fail("is encrypted");
  const method = view.getUint16(at + 10, true);
  if (method !== 0) throw fail(`is compressed (method ${method}); torch.save stores without compression`);
  const sizes = [
    view.getUint32(at + 24, true),
    view.getUint32(at + 20, true),
    view.getUint32(at + 42, true),
  ] as const;
  const wide = zip64Fields(extra);
  // Of these fields the extra has those that are full, in this order.
  const [bytes, packed, start] = sizes.map((size) => {
    if (size !== FULL32) return size;
    const value = wide.shift();
    if (value === undefined) throw fail("lacks its zip64 sizes");
    return value;
  }) as [number, number, number];
  if (bytes !== packed) throw fail(`has ${bytes} bytes stored in ${packed}`);
  return { name, bytes, start };
}

/** The 8-byte numbers of the zip64 field among the extra fields. */
function zip64Fields(extra: Uint8Array): number[] {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const [id, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const count = Math.floor(Math.min(length, extra.length - at - 4) / 8);
    if (id === 1) return Array.from({ length: Math.min(count, 3) }, (_, i) => big(view, at + 4 + 8 * i));
    at += 4 + length;
  }
  return [];
}

function placed(entries: Omit<ZipEntry, "limit">[], directoryStart: number): Map<string, ZipEntry> {
  const byPlace = [...entries].sort((a, b) => a.start - b.start);
  const limits = new Map(byPlace.map((entry, i) => [entry, byPlace[i + 1]?.start ?? directoryStart]));
  const byName = new Map<string, ZipEntry>();
  for (const entry of entries) {
    const limit = limits.get(entry) as number;
    if (entry.start + 30 + entry.bytes > limit)
      throw wrong(`entry ${quoted(entry.name)} overlaps what comes after it`);
    if (byName.has(entry.name)) throw wrong(`entry ${quoted(entry.name)} given twice`);
    byName.set(entry.name, { ...entry, limit });
  }
  return byName;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** A number of 8 bytes; past 2^53 it is rounded and lies outside of any file. */
const big = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

const wrong = (fact: string): CheckpointError => new CheckpointError(`zip: ${fact}`);
