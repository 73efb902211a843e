import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { openWeights, type OpenOptions } from "../../src/io/weights.ts";
import type { Pickled } from "../../src/nn/pickle.ts";
import { TorchRules } from "../../src/nn/torch-objects.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { op, storage, tensor, torchLegacy, torchZip, zip, type Code } from "../helpers/write-torch.ts";

const folder = temporaryFolder();
const file = path.join(folder, "w.safetensors"); // the name says nothing

async function read(bytes: Buffer, options: OpenOptions = {}) {
  writeFileSync(file, bytes);
  const weights = await openWeights(file, options);
  try {
    const entries = [];
    for (const name of weights.names) entries.push([name, [...(await weights.readF32(name))]] as const);
    return { tensors: Object.fromEntries(entries), weights };
  } finally {
    await weights.close();
  }
}

/** The message of the refusal: one line that names the file, without it. */
async function refusal(bytes: Buffer): Promise<string> {
  writeFileSync(file, bytes);
  const failure: unknown = await openWeights(file).then(
    () => "opened",
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(UserError);
  const { message } = failure as UserError;
  expect(message.startsWith(`${file}: `)).toBe(true);
  expect(message).not.toContain("\n");
  return message.slice(file.length + 2);
}

const values = Float32Array.from({ length: 12 }, (_, i) => i + 0.5);
const twelve = storage("0", 12);
const whole = tensor(twelve, [3, 4], [4, 1]);
const dict = (...pairs: [string, Code][]): Code => op.dict(...pairs);
const one = (root: Code): Buffer => torchZip(root, { "0": values });

it("one list given to many calls is counted each time", () => {
  const rules = new TorchRules();
  const pairs = Array.from({ length: 500_000 }, (_, i): Pickled => [i, 1]);
  const call = () => rules.call("collections.OrderedDict", [pairs]);
  for (let k = 0; k < 8; k++) expect((call() as Map<unknown, unknown>).size).toBe(500_000);
  expect(call).toThrow("torch: more than 4000000 pairs in ordered dicts; expected a state dict");
});

describe("tensors of both formats", () => {
  const root = dict(
    ["rows", whole],
    ["columns", tensor(twelve, [4, 3], [1, 4])],
    ["corner", tensor(twelve, [2, 2], [4, 1], 5)],
    ["every third", tensor(twelve, [4], [3], 1)],
    ["repeated", tensor(twelve, [2, 3], [0, 1], 9)],
    ["number", tensor(twelve, [], [], 7)],
    ["nothing", tensor(twelve, [0, 5], [5, 1], 12)],
  );
  const want = {
    rows: [...values],
    columns: [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11].map((i) => i + 0.5),
    corner: [5.5, 6.5, 9.5, 10.5],
    "every third": [1.5, 4.5, 7.5, 10.5],
    repeated: [9.5, 10.5, 11.5, 9.5, 10.5, 11.5],
    number: [7.5],
    nothing: [],
  };

  it.each([
    ["zip", torchZip(root, { "0": values })],
    ["legacy", torchLegacy(root, { "0": values })],
  ])("%s: views, strides, offsets, no elements", async (_, bytes) => {
    const { tensors, weights } = await read(bytes);
    expect(tensors).toEqual(want);
    expect(weights.info("columns")).toMatchObject({ dtype: "F32", shape: [4, 3], bytes: 48 });
  });

  it("narrow and wide types as float32", async () => {
    const at = (type: string, key: string, n: number) =>
      tensor(storage(key, n, { type, location: "cuda:3" }), [n], [1]);
    const types = dict(
      ["half", at("HalfStorage", "h", 2)],
      ["brain", at("BFloat16Storage", "b", 2)],
      ["double", at("DoubleStorage", "d", 1)],
      ["long", at("LongStorage", "l", 2)],
      ["bool", at("BoolStorage", "t", 2)],
    );
    const { tensors, weights } = await read(
      torchZip(types, {
        h: Uint16Array.of(0x3c00, 0xc100),
        b: Uint16Array.of(0x3f80, 0xc020),
        d: Float64Array.of(0.1),
        l: BigInt64Array.of(-3n, 2n ** 40n),
        t: Uint8Array.of(1, 0),
      }),
    );
    expect(tensors).toEqual({
      half: [1, -2.5],
      brain: [1, -2.5],
      double: [Math.fround(0.1)],
      long: [-3, 2 ** 40],
      bool: [1, 0],
    });
    expect(weights.names.map((name) => weights.info(name).dtype)).toEqual([
      "F16",
      "BF16",
      "F64",
      "I64",
      "BOOL",
    ]);
  });

  it("a legacy file whose pickles are longer than the first read", async () => {
    const long = dict(["note", op.text("x".repeat(3_000_000))], ["w", whole]);
    expect((await read(torchLegacy(long, { "0": values }))).tensors["w"]).toEqual([...values]);
  });
});

describe("the table of weights", () => {
  const names = async (root: Code, options?: OpenOptions) =>
    Object.keys((await read(one(root), options)).tensors);

  it("is the moving average, else the state dict, else the object itself, else its only table", async () => {
    const table = (name: string) => dict([name, whole]);
    const step: [string, Code] = ["step", tensor(twelve, [], [])];
    expect(await names(dict(["model", table("a")], ["ema_model", table("b")], step))).toEqual(["b"]);
    expect(await names(dict(["optimizer", table("a")], ["state_dict", table("b")]))).toEqual(["b"]);
    expect(await names(dict(["a.weight", whole], ["inner", dict(["b", whole])]))).toEqual([
      "a.weight",
      "inner.b",
    ]);
    expect(await names(dict(["epoch", op.int(3)], ["weights", table("c")]))).toEqual(["c"]);
    expect(await names(op.list(whole, whole))).toEqual(["0", "1"]);
    expect(await names(dict(["model", table("a")], ["ema", table("b")]), { all: true })).toEqual([
      "model.a",
      "ema.b",
    ]);
  });

  it("without the prefixes of wrappers", async () => {
    expect(await names(dict(["module.a", whole], ["module.b", whole]))).toEqual(["a", "b"]);
    expect(await names(dict(["module.a", whole], ["b", whole]))).toEqual(["module.a", "b"]);
    const ema = dict(["step", whole], ["online_model.a", whole], ["ema_model.module.a", whole]);
    expect(await names(dict(["ema_model", ema]))).toEqual(["a"]);
  });

  it("is asked for where it is not clear", async () => {
    const unclear = dict(["left", dict(["a", whole])], ["right", dict(["a", whole])], ["epoch", op.int(1)]);
    expect(await refusal(one(unclear))).toMatch(
      /which table .* got "left", "right"; expected one of ema_model, /,
    );
    expect(await refusal(torchZip(dict(["epoch", op.int(1)])))).toContain("holds no tensors");
  });

  it("leaves plain values as metadata", async () => {
    const root = dict(
      ["w", whole],
      ["epoch", op.int(-7)],
      ["name", op.text("n")],
      ["betas", op.tuple(op.int(1), op.none)],
    );
    const { weights } = await read(one(root));
    expect(Object.fromEntries(weights.metadata)).toEqual({ epoch: "-7", name: "n", betas: "[1,null]" });
  });
});

describe("nothing is executed", () => {
  it.each([
    ["os", "system"],
    ["builtins", "eval"],
    ["torch._utils", "_rebuild_tensor"],
    ["numpy.core.multiarray", "scalar"],
    ["torch", "CharStorage"],
    ["__proto__", "constructor"],
  ])("%s.%s is refused by name", async (module, name) => {
    const root = dict(["w", whole], ["x", op.call(op.global(module, name), op.text("id"))]);
    for (const bytes of [one(root), torchLegacy(root, { "0": values })])
      expect(await refusal(bytes)).toContain(`torch: "${module}.${name}" is not allowed`);
  });

  it("so it is in protocol 4, and a type that is called", async () => {
    const short = (s: string) => [0x8c, s.length, ...new TextEncoder().encode(s)];
    expect(await refusal(one([...short("posix"), ...short("system"), 0x93]))).toContain(
      '"posix.system" is not allowed',
    );
    expect(await refusal(one(op.call(op.global("torch", "FloatStorage"))))).toContain("is called");
  });

  it.each([
    ["INST", 0x69],
    ["OBJ", 0x6f],
    ["NEWOBJ", 0x81],
    ["NEWOBJ_EX", 0x92],
    ["EXT1", 0x82],
    ["PERSID", 0x50],
    ["DUP", 0x32],
    ["BYTEARRAY8", 0x96],
  ])("opcode %s is refused by name", async (name, code) => {
    expect(await refusal(one([code, 1, 10, 10]))).toContain(
      `opcode ${name} (0x${code.toString(16)}) is not allowed`,
    );
  });

  it("an unknown byte, a state that is not _metadata, a call of no name", async () => {
    expect(await refusal(one([0xff]))).toContain("0xff is no opcode");
    expect(await refusal(one([...dict(["w", whole]), ...dict(["__class__", op.none]), 0x62]))).toContain(
      "only _metadata",
    );
    expect(
      (await read(one([...dict(["w", whole]), ...dict(["_metadata", op.none]), 0x62]))).weights.names,
    ).toEqual(["w"]);
    expect(await refusal(one(op.call(op.text("os.system"), op.text("id"))))).toContain("calls no name");
  });
});

describe("hostile tensors", () => {
  it.each([
    ["past the end", [3, 4], [4, 1], 1, "reaches element 12 of storage"],
    ["strides past the end", [3, 4], [5, 1], 0, "reaches element 13"],
    ["negative strides", [3], [-1], 2, "integers from 0 on"],
    ["negative offset", [1], [1], -1, "is no (storage, offset"],
    ["negative size", [-3, -4], [4, 1], 0, "integers from 0 on"],
    ["unequal ranks", [3, 4], [1], 0, "unequal numbers"],
    ["a product past 2^53", [2 ** 30, 2 ** 30], [0, 0], 0, "is too large"],
    ["a repeated number as large as a disk", [2 ** 40], [0], 0, "is larger than the file"],
    ["65 axes", Array<number>(65).fill(1), Array<number>(65).fill(1), 0, "at most 64"],
  ])("%s", async (_, shape, strides, offset, want) => {
    expect(await refusal(one(dict(["w", tensor(twelve, shape, strides, offset)])))).toContain(want);
  });

  it("storages that are not there, of another size, of two types, or views", async () => {
    const far = tensor(storage("0", 2 ** 30), [2 ** 30], [1]);
    expect(await refusal(one(dict(["w", far])))).toContain("4294967296 bytes; the file has 48 for it");
    expect(await refusal(one(dict(["w", tensor(storage("1", 3), [3], [1])])))).toContain(
      'storage "1" is not in the archive',
    );
    const both = dict(["a", whole], ["b", tensor(storage("0", 6, { type: "DoubleStorage" }), [6], [1])]);
    expect(await refusal(one(both))).toContain("F32 [12] and F64 [6] at once");
    const id = op.tuple(
      op.text("storage"),
      op.global("torch", "FloatStorage"),
      op.text("0"),
      op.text("cpu"),
      op.int(12),
      op.text("v"),
    );
    expect(await refusal(one([...id, 0x51]))).toContain("view of another");
    expect(await refusal(one([...op.tuple(op.text("module"), op.text("0")), 0x51]))).toContain(
      "persistent id",
    );
  });
});

describe("hostile pickles", () => {
  it.each<[string, Code, string]>([
    ["a text longer than the file", [0x58, 0xff, 0xff, 0xff, 0x7f, 65], "ends before its STOP"],
    ["a text of 2^63 bytes", [0x8d, 0, 0, 0, 0, 0, 0, 0, 0x80, 65], "ends before its STOP"],
    ["a frame longer than the file", [0x95, 0xff, 0xff, 0, 0, 0, 0, 0, 0], "ends before its STOP"],
    ["a text that is not UTF-8", [0x58, 1, 0, 0, 0, 0xff], "not UTF-8"],
    ["an empty stack", [0x75], "takes a mark"],
    ["a value under the mark", [...op.none, 0x28, 0x85], "takes a value"],
    ["a memo never kept", op.get(3), "memo 3"],
    ["a key given twice", dict(["a", op.none], ["a", op.none]), 'key "a" of a dict given twice'],
    ["a key that is a list", [0x7d, 0x5d, ...op.none, 0x73], "neither a text nor an integer"],
    ["a tuple that is appended to", [...op.tuple(op.none), ...op.none, 0x61], "appends to no list"],
    [
      "an ordered dict of no pairs",
      op.call(op.global("collections", "OrderedDict"), op.list(op.none)),
      "list of pairs",
    ],
    ["a name across two tables", dict(["a", dict(["b", whole])], ["a.b", whole]), 'tensor "a.b" given twice'],
  ])("%s", async (_, root, want) => {
    expect(await refusal(one(root))).toContain(want);
  });

  it("a table inside itself, and lists that double thirty times", async () => {
    const loop: Code = [
      0x7d,
      ...op.put(1),
      0x28,
      ...op.text("self"),
      ...op.get(1),
      ...op.text("w"),
      ...whole,
      0x75,
    ];
    expect(await refusal(one(loop))).toContain("inside one another");
    const doubled = Array.from({ length: 30 }, (_, k) => [
      0x5d,
      0x28,
      ...op.get(k),
      ...op.get(k),
      0x65,
      ...op.put(k + 1),
    ]);
    expect(await refusal(one([...op.list(op.none), ...op.put(0), ...doubled.flat()]))).toContain(
      "2000000 values",
    );
  });

  it("a hundred thousand lists inside one another", async () => {
    const deep = [...Array<number>(100_000).fill(0x5d), ...whole, ...Array<number>(100_000).fill(0x61)];
    expect(await refusal(one(deep))).toContain("inside one another");
  });

  it("a dict a byte, millions of them", async () => {
    expect(await refusal(one(Array<number>(4_000_001).fill(0x7d)))).toContain("more than 4000000 opcodes");
  });

  it("another protocol, bytes behind the end, a file cut anywhere", async () => {
    expect(await refusal(zip([{ name: "m/data.pkl", data: [0x80, 1, 0x4e, 0x2e] }]))).toContain("protocol 1");
    expect(await refusal(zip([{ name: "m/data.pkl", data: [...op.pickle(op.none), 0] }]))).toContain(
      "1 bytes after its STOP",
    );
    for (const good of [one(dict(["w", whole])), torchLegacy(dict(["w", whole]), { "0": values })])
      for (let length = 0; length < good.length; length += 7) await refusal(good.subarray(0, length));
  });
});

describe("hostile archives", () => {
  const pkl = { name: "m/data.pkl", data: op.pickle(dict(["w", whole])) };
  const data = { name: "m/data/0", data: Buffer.from(values.buffer) };

  it.each<[string, Buffer, string]>([
    ["a compressed entry", zip([{ ...pkl, method: 8 }, data]), 'entry "m/data.pkl" is compressed (method 8)'],
    ["an encrypted entry", zip([pkl, { ...data, flags: 1 }]), 'entry "m/data/0" is encrypted'],
    ["sizes that say a bomb", zip([pkl, { ...data, size: 2 ** 31 }]), "2147483648 bytes stored in 48"],
    [
      "an entry past the directory",
      zip([pkl, { ...data, size: 4096, packed: 4096 }]),
      "overlaps what comes after",
    ],
    [
      "entries over one another",
      zip([pkl, data, { ...data, name: "m/data/1", start: 10 }]),
      "overlaps what comes after",
    ],
    ["a name given twice", zip([pkl, data, data]), 'entry "m/data/0" given twice'],
    ["two pickles", zip([pkl, data, { ...pkl, name: "n/data.pkl" }]), "2 entries data.pkl"],
    ["no pickle", zip([data]), "0 entries data.pkl"],
    ["fewer entries than it says", zip([pkl, data], { count: 3 }), "entry 2 of 3 is not there"],
    ["more entries than it says", zip([pkl, data], { count: 1 }), "more than its 1 entries"],
    ["a directory elsewhere", zip([pkl, data], { directory: 3 }), "the directory is said to take"],
    [
      "sizes that need zip64 and lack it",
      zip([pkl, { ...data, size: 2 ** 32 - 1 }]),
      "lacks its zip64 sizes",
    ],
    [
      "numbers of another order",
      zip([pkl, data, { name: "m/byteorder", data: Buffer.from("big") }]),
      "not little-endian",
    ],
    ["an entry that starts in another", zip([pkl, { ...data, start: 8 }]), "overlaps what comes after"],
  ])("%s", async (_, bytes, want) => {
    expect(await refusal(bytes)).toContain(want);
  });

  it("a local header that lies or is none", async () => {
    const second = 30 + pkl.name.length + pkl.data.length;
    const [long, none] = [zip([pkl, data]), zip([pkl, data])];
    long.writeUInt16LE(0xffff, second + 28);
    expect(await refusal(long)).toContain('entry "m/data/0" overlaps what comes after');
    none.writeUInt32LE(0, second);
    expect(await refusal(none)).toContain('entry "m/data/0" has no local header');
  });
});

describe("hostile legacy files", () => {
  const root = dict(["w", whole]);
  const stored = { "0": values };

  it.each<[string, Buffer, string]>([
    [
      "a count that lies",
      torchLegacy(root, stored, { counts: { "0": 2 ** 40 } }),
      "the file has 4398046511104 for it",
    ],
    [
      "a storage larger than the file",
      torchLegacy(dict(["w", tensor(storage("0", 2 ** 30), [4], [1])]), stored),
      "48 are left of the file",
    ],
    [
      "bytes behind the last storage",
      Buffer.concat([torchLegacy(root, stored), Buffer.alloc(3)]),
      "3 bytes come after",
    ],
    ["a key that no tensor has", torchLegacy(root, stored, { keys: ["1"] }), "list of keys"],
    ["a key given twice", torchLegacy(root, stored, { keys: ["0", "0"] }), "list of keys"],
    ["another magic number", torchLegacy(root, stored, { magic: 5n }), "magic number"],
  ])("%s", async (_, bytes, want) => {
    expect(await refusal(bytes)).toContain(want);
  });
});
