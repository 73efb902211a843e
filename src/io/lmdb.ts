// Reads LMDB files in data format 1 (LMDB 0.9, what Python's lmdb writes): the B+ tree of the main table, page by page, no
// mapping and no lock file. The npm package lmdb reads format 2 only, and a file of format 1 ends its process.
import { closeSync, fstatSync, openSync, readSync, statSync } from "node:fs";
import path from "node:path";

/** Look-up by key in one LMDB table. */
export interface LmdbReader {
  /** Keys in the table. */
  readonly entries: number;
  /** The value, undefined where the key is not there. Throws Error where the file is damaged. */
  get(key: string): Uint8Array | undefined;
  close(): void;
}

const MAGIC = 0xbeefc0de;
const HEADER = 16;
const [BRANCH, LEAF, OVERFLOW, META] = [1, 2, 4, 8];
const BIG = 1; // the value stands in overflow pages
const NESTED = 6; // flags of a node that holds a table or duplicates
const MAX_DEPTH = 32;
const MAX_VALUE = 2 ** 28;
const CACHED_PAGES = 4096;

interface Meta {
  readonly pageSize: number;
  readonly root: number;
  readonly entries: number;
  readonly flags: number;
  readonly txn: bigint;
}

/** Opens the file, or the file data.mdb of a folder. Throws Error with what is wrong. */
export function openLmdb(at: string): LmdbReader {
  const handle = openSync(statSync(at).isDirectory() ? path.join(at, "data.mdb") : at, "r");
  try {
    const { size } = fstatSync(handle);
    return reader(handle, size, readMeta(handle, size));
  } catch (error) {
    closeSync(handle);
    throw error;
  }
}

/** `length` bytes at `position`, or an Error where the file is shorter. */
function read(handle: number, position: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  if (readSync(handle, bytes, 0, length, position) < length) throw new Error("the file is cut short");
  return bytes;
}

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function number(view: DataView, at: number): number {
  const value = view.getBigUint64(at, true);
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? -1 : Number(value);
}

/** The two meta pages: the one of the later transaction counts. */
function readMeta(handle: number, size: number): Meta {
  const first = parseMeta(read(handle, 0, Math.min(size, 168)));
  if (!first) throw new Error("not an LMDB file of 64-bit little-endian machines");
  const second = parseMeta(read(handle, first.pageSize, 168));
  if (!second || second.pageSize !== first.pageSize) throw new Error("its second meta page is damaged");
  return second.txn > first.txn ? second : first;
}

function parseMeta(page: Uint8Array): Meta | undefined {
  if (page.length < 168) return undefined;
  const view = viewOf(page);
  if (view.getUint32(24, true) === MAGIC)
    throw new Error("LMDB data format 2; expected 1, as LMDB 0.9 writes");
  if ((view.getUint16(10, true) & META) === 0 || view.getUint32(16, true) !== MAGIC) return undefined;
  const version = view.getUint32(20, true);
  if (version !== 1) throw new Error(`LMDB data format ${version}; expected 1`);
  const pageSize = view.getUint32(40, true);
  if (pageSize < 256 || pageSize > 65536 || (pageSize & (pageSize - 1)) !== 0)
    throw new Error(`pages of ${pageSize} bytes; expected a power of two from 256 to 65536`);
  return {
    pageSize,
    flags: view.getUint16(92, true),
    entries: number(view, 120),
    root: number(view, 128),
    txn: view.getBigUint64(144, true),
  };
}

function reader(handle: number, size: number, { pageSize, root, entries, flags }: Meta): LmdbReader {
  if (flags !== 0) throw new Error(`a table with flags ${flags}; expected plain keys, one value each`);
  const pages = Math.floor(size / pageSize);
  const cache = new Map<number, Uint8Array>();

  const page = (index: number): Uint8Array => {
    if (index < 2 || index >= pages) throw new Error(`it points at page ${index} of ${pages}`);
    const known = cache.get(index);
    if (known) return known;
    const bytes = read(handle, index * pageSize, pageSize);
    if (cache.size >= CACHED_PAGES) cache.clear();
    cache.set(index, bytes);
    return bytes;
  };

  const value = (leaf: Uint8Array, at: number): Uint8Array => {
    const view = viewOf(leaf);
    const length = view.getUint32(at, true);
    const nodeFlags = view.getUint16(at + 4, true);
    const start = at + 8 + view.getUint16(at + 6, true);
    if ((nodeFlags & NESTED) !== 0) throw new Error("a key holds a table of its own");
    if (length > MAX_VALUE) throw new Error(`a value of ${length} bytes; expected at most ${MAX_VALUE}`);
    if ((nodeFlags & BIG) === 0) {
      if (start + length > pageSize) throw new Error("a value runs past its page");
      return leaf.slice(start, start + length);
    }
    if (start + 8 > pageSize) throw new Error("a value runs past its page");
    const index = number(view, start);
    if (index < 2 || index >= pages) throw new Error(`it points at page ${index} of ${pages}`);
    const whole = read(handle, index * pageSize, HEADER + length);
    if ((viewOf(whole).getUint16(10, true) & OVERFLOW) === 0) throw new Error(`page ${index} is damaged`);
    return whole.subarray(HEADER);
  };

  return {
    entries,
    get(key) {
      if (entries === 0) return undefined;
      const wanted = new TextEncoder().encode(key);
      let index = root;
      for (let depth = 0; depth < MAX_DEPTH; depth++) {
        const bytes = page(index);
        const view = viewOf(bytes);
        const kind = view.getUint16(10, true) & (BRANCH | LEAF | OVERFLOW | META);
        const nodes = nodesOf(bytes, index);
        if (kind === LEAF) {
          const at = lastUpTo(bytes, nodes, wanted, 0);
          const found = at >= 0 && compare(keyOf(bytes, nodes[at]!), wanted) === 0;
          return found ? value(bytes, nodes[at]!) : undefined;
        }
        if (kind !== BRANCH || nodes.length === 0) throw new Error(`page ${index} is damaged`);
        // The first key of a branch is empty and stands for everything smaller.
        const at = nodes[Math.max(0, lastUpTo(bytes, nodes, wanted, 1))]!;
        index = view.getUint32(at, true) + view.getUint16(at + 4, true) * 2 ** 32;
      }
      throw new Error(`its tree is deeper than ${MAX_DEPTH} pages`);
    },
    close: () => closeSync(handle),
  };
}

/** Places of a page's nodes, in the order of their keys. */
function nodesOf(page: Uint8Array, index: number): number[] {
  const view = viewOf(page);
  const lower = view.getUint16(12, true);
  if (lower < HEADER || lower > page.length) throw new Error(`page ${index} is damaged`);
  return Array.from({ length: (lower - HEADER) >> 1 }, (_, i) => {
    const at = view.getUint16(HEADER + 2 * i, true);
    if (at < lower || at + 8 > page.length || at + 8 + view.getUint16(at + 6, true) > page.length)
      throw new Error(`page ${index} is damaged`);
    return at;
  });
}

function keyOf(page: Uint8Array, at: number): Uint8Array {
  return page.subarray(at + 8, at + 8 + viewOf(page).getUint16(at + 6, true));
}

/** The last node from `from` on whose key is at most `wanted`; from - 1 where there is none. */
function lastUpTo(page: Uint8Array, nodes: readonly number[], wanted: Uint8Array, from: number): number {
  let [low, high] = [from - 1, nodes.length - 1];
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (compare(keyOf(page, nodes[middle]!), wanted) <= 0) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Order of LMDB's plain keys: byte by byte, a prefix first. */
function compare(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}
