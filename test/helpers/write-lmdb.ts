// Writes an LMDB file of data format 1 with as many levels as its keys need: a fixture for the reader, from the format alone.

const PAGE = 4096;
const HEADER = 16;

interface Child {
  readonly key: Uint8Array;
  readonly page: number;
}

/** The bytes of data.mdb that holds these pairs in its main table. */
export function lmdbFile(pairs: ReadonlyMap<string, Uint8Array>): Uint8Array {
  const pages: Uint8Array[] = [new Uint8Array(PAGE), new Uint8Array(PAGE)];
  const encoder = new TextEncoder();
  const sorted = [...pairs]
    .map(([key, value]) => ({ key: encoder.encode(key), value }))
    .sort((a, b) => Buffer.compare(a.key, b.key));

  /** A leaf's node: the value itself, or where its overflow pages start. */
  const leafNode = (key: Uint8Array, value: Uint8Array): Uint8Array => {
    const big = value.length > 1000;
    const node = new Uint8Array((8 + key.length + (big ? 8 : value.length) + 1) & ~1);
    const view = new DataView(node.buffer);
    view.setUint32(0, value.length, true);
    view.setUint16(4, big ? 1 : 0, true);
    view.setUint16(6, key.length, true);
    node.set(key, 8);
    if (!big) node.set(value, 8 + key.length);
    else {
      view.setBigUint64(8 + key.length, BigInt(pages.length), true);
      const count = Math.ceil((HEADER + value.length) / PAGE);
      const run = new Uint8Array(count * PAGE);
      header(run, pages.length, 4);
      new DataView(run.buffer).setUint32(12, count, true);
      run.set(value, HEADER);
      for (let i = 0; i < count; i++) pages.push(run.subarray(i * PAGE, (i + 1) * PAGE));
    }
    return node;
  };
  const branchNode = (key: Uint8Array, page: number): Uint8Array => {
    const node = new Uint8Array((8 + key.length + 1) & ~1);
    const view = new DataView(node.buffer);
    view.setUint32(0, page, true);
    view.setUint16(6, key.length, true);
    node.set(key, 8);
    return node;
  };
  /** Fills pages with nodes in order; the first key and the number of each page. */
  const fill = (nodes: { key: Uint8Array; node: Uint8Array }[], flags: number): Child[] => {
    const made: Child[] = [];
    for (let i = 0; i < nodes.length;) {
      const page = new Uint8Array(PAGE);
      const view = new DataView(page.buffer);
      let [lower, upper] = [HEADER, PAGE];
      const first = nodes[i]!.key;
      for (; i < nodes.length && lower + 2 <= upper - nodes[i]!.node.length; i++, lower += 2) {
        upper -= nodes[i]!.node.length;
        page.set(nodes[i]!.node, upper);
        view.setUint16(lower, upper, true);
      }
      header(page, pages.length, flags);
      view.setUint16(12, lower, true);
      view.setUint16(14, upper, true);
      made.push({ key: first, page: pages.length });
      pages.push(page);
    }
    return made;
  };
  let level = fill(
    sorted.map(({ key, value }) => ({ key, node: leafNode(key, value) })),
    2,
  );
  let depth = 1;
  for (; level.length > 1; depth++) {
    const nodes = level.map(({ key, page }) => ({ key, node: branchNode(key, page) }));
    level = fill(nodes, 1);
  }
  for (const index of [0, 1]) {
    const meta = pages[index]!;
    const view = new DataView(meta.buffer);
    header(meta, index, 8);
    view.setUint32(16, 0xbeefc0de, true);
    view.setUint32(20, 1, true);
    view.setUint32(40, PAGE, true);
    view.setBigUint64(80, 2n ** 64n - 1n, true);
    view.setUint16(94, depth, true);
    // The older meta page knows an empty table: a reader that takes it finds nothing.
    view.setBigUint64(120, index === 1 ? BigInt(sorted.length) : 0n, true);
    view.setBigUint64(128, index === 1 ? BigInt(level[0]!.page) : 2n ** 64n - 1n, true);
    view.setBigUint64(144, BigInt(index), true);
  }
  return new Uint8Array(Buffer.concat(pages));
}

function header(page: Uint8Array, index: number, flags: number): void {
  const view = new DataView(page.buffer, page.byteOffset);
  view.setBigUint64(0, BigInt(index), true);
  view.setUint16(10, flags, true);
}
