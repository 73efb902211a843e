// Writes pickles and files of torch.save, well-formed or with lies in them.

/** Bytes of one opcode and its argument, or several. */
export type Code = readonly number[];

const u = (n: number, bytes: number): number[] =>
  Array.from({ length: bytes }, (_, i) => Number((BigInt(n) >> BigInt(8 * i)) & 255n));
const ascii = (text: string): number[] => [...new TextEncoder().encode(text)];

/** Opcodes of protocol 2; values nest as calls. */
export const op = {
  none: [0x4e],
  text: (s: string): Code => [0x58, ...u(ascii(s).length, 4), ...ascii(s)],
  int: (n: number): Code => [0x4a, ...u(n, 4)],
  long: (n: bigint, bytes: number): Code => [
    0x8a,
    bytes,
    ...Array.from({ length: bytes }, (_, i) => Number((n >> BigInt(8 * i)) & 255n)),
  ],
  global: (module: string, name: string): Code => [0x63, ...ascii(`${module}\n${name}\n`)],
  tuple: (...items: Code[]): Code => [0x28, ...items.flat(), 0x74],
  list: (...items: Code[]): Code => [0x5d, 0x28, ...items.flat(), 0x65],
  dict: (...pairs: [string, Code][]): Code => [
    0x7d,
    0x28,
    ...pairs.flatMap(([k, v]) => [...op.text(k), ...v]),
    0x75,
  ],
  call: (callee: Code, ...args: Code[]): Code => [...callee, ...op.tuple(...args), 0x52],
  put: (n: number): Code => [0x71, n],
  get: (n: number): Code => [0x68, n],
  pickle: (value: Code): number[] => [0x80, 2, ...value, 0x2e],
} as const;

export interface StorageOptions {
  readonly type?: string;
  readonly location?: string;
}

/** The persistent id of a storage. */
export const storage = (
  key: string,
  count: number,
  { type = "FloatStorage", location = "cpu" }: StorageOptions = {},
): Code => [
  ...op.tuple(op.text("storage"), op.global("torch", type), op.text(key), op.text(location), op.int(count)),
  0x51,
];

const numbers = (values: readonly number[]): Code => op.tuple(...values.map((v) => op.long(BigInt(v), 8)));

/** A tensor over a storage. */
export const tensor = (data: Code, shape: readonly number[], strides: readonly number[], offset = 0): Code =>
  op.call(
    op.global("torch._utils", "_rebuild_tensor_v2"),
    data,
    op.long(BigInt(offset), 8),
    numbers(shape),
    numbers(strides),
    [0x89],
    op.call(op.global("collections", "OrderedDict")),
  );

export interface Entry {
  readonly name: string;
  readonly data: Uint8Array | readonly number[];
  readonly method?: number;
  readonly flags?: number;
  /** What the directory says of it instead of the truth. */
  readonly size?: number;
  readonly packed?: number;
  readonly start?: number;
}

/** A zip archive without compression; `count` and `directory` lie about the directory. */
export function zip(entries: readonly Entry[], lies: { count?: number; directory?: number } = {}): Buffer {
  const body: Buffer[] = [];
  const central: Buffer[] = [];
  let at = 0;
  for (const e of entries) {
    const [name, data] = [Buffer.from(e.name), Buffer.from(e.data)];
    const fixed = [...u(0, 2), ...u(e.flags ?? 0x808, 2), ...u(e.method ?? 0, 2), ...u(0, 8)];
    const sizes = [...u(e.packed ?? data.length, 4), ...u(e.size ?? data.length, 4)];
    const local = Buffer.from([...u(0x04034b50, 4), ...fixed, ...u(0, 8), ...u(name.length, 2), ...u(0, 2)]);
    central.push(
      Buffer.from([
        ...u(0x02014b50, 4),
        ...u(0, 2),
        ...fixed,
        ...sizes,
        ...u(name.length, 2),
        ...u(0, 12),
        ...u(e.start ?? at, 4),
      ]),
      name,
    );
    body.push(local, name, data);
    at += local.length + name.length + data.length;
  }
  const directory = Buffer.concat(central);
  const count = lies.count ?? entries.length;
  const end = [
    ...u(0x06054b50, 4),
    ...u(0, 4),
    ...u(count, 2),
    ...u(count, 2),
    ...u(directory.length, 4),
    ...u(lies.directory ?? at, 4),
    ...u(0, 2),
  ];
  return Buffer.concat([...body, directory, Buffer.from(end)]);
}

/** An archive of torch.save: the pickled object, and each storage's elements. */
export const torchZip = (
  root: Code,
  storages: Readonly<Record<string, ArrayBufferView>> = {},
  extra: readonly Entry[] = [],
): Buffer =>
  zip([
    { name: "m/data.pkl", data: op.pickle(root) },
    ...Object.entries(storages).map(([key, { buffer, byteOffset, byteLength }]) => ({
      name: `m/data/${key}`,
      data: new Uint8Array(buffer, byteOffset, byteLength),
    })),
    ...extra,
  ]);

/** The same in the legacy format; `counts` lies about the numbers of elements. */
export function torchLegacy(
  root: Code,
  storages: Readonly<Record<string, Float32Array>> = {},
  {
    keys = Object.keys(storages),
    counts = {} as Record<string, number>,
    magic = 0x1950a86a20f9469cfc6cn,
  } = {},
): Buffer {
  const head = [
    op.pickle(op.long(magic, 10)),
    op.pickle([0x4d, ...u(1001, 2)]),
    op.pickle(op.dict(["little_endian", [0x88]])),
    op.pickle(root),
    op.pickle(op.list(...keys.map((key) => op.text(key)))),
  ];
  const data = Object.entries(storages).flatMap(([key, values]) => [
    Buffer.from(u(counts[key] ?? values.length, 8)),
    Buffer.from(values.buffer, values.byteOffset, values.byteLength),
  ]);
  return Buffer.concat([...head.map((bytes) => Buffer.from(bytes)), ...data]);
}
