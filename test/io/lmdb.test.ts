import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { openLmdbPictures } from "../../src/io/lmdb-pictures.ts";
import { openLmdb } from "../../src/io/lmdb.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { lmdbFile } from "../helpers/write-lmdb.ts";

const root = temporaryFolder();
function write(name: string, bytes: Uint8Array): string {
  const folder = path.join(root, name);
  mkdirSync(folder);
  writeFileSync(path.join(folder, "data.mdb"), bytes);
  return folder;
}
const grey = (level: number, side: number): Promise<Buffer> =>
  sharp({ create: { width: side, height: side, channels: 3, background: { r: level, g: level, b: level } } })
    .png()
    .toBuffer();

const many = new Map(
  Array.from({ length: 900 }, (_, i) => [
    `8-${String(i).padStart(5, "0")}`,
    new Uint8Array([40, 700, 9000][i % 3]!).fill(i % 256),
  ]),
);

describe("openLmdb", () => {
  it("finds every key through branches and overflow pages, and no other", () => {
    const lmdb = openLmdb(write("many", lmdbFile(many)));
    expect(lmdb.entries).toBe(900);
    for (const [key, value] of many) expect(Buffer.compare(lmdb.get(key)!, value), key).toBe(0);
    for (const key of ["", "8", "8-", "8-00900", "8-000000", "9", "7-00000"])
      expect(lmdb.get(key), key).toBeUndefined();
    lmdb.close();
  });

  it("refuses damaged files", () => {
    const file = lmdbFile(many);
    const spoil = (at: number, ...bytes: number[]): Uint8Array => {
      const copy = file.slice();
      copy.set(bytes, at);
      return copy;
    };
    const root1 = 4096 + 128;
    const cases: [string, Uint8Array, RegExp][] = [
      ["empty", new Uint8Array(), /not an LMDB file/],
      ["text", new TextEncoder().encode("no data base ".repeat(900)), /not an LMDB file/],
      ["version", spoil(20, 7), /data format 7/],
      ["page size", spoil(40, 3), /pages of 4099 bytes/],
      ["flags", spoil(4096 + 92, 4), /flags 4/],
      ["cut", file.slice(0, 5000), /points at page|cut short/],
      ["root", spoil(root1, 255, 255, 255, 255, 255, 255, 1), /points at page/],
      ["root into the metas", spoil(root1, 1, 0), /points at page 1/],
    ];
    for (const [name, bytes, message] of cases) {
      const folder = write(`bad ${name}`, bytes);
      expect(() => openLmdb(folder).get("8-00000"), name).toThrow(message);
    }
  });

  it("survives any change of one byte of its tree", () => {
    const small = lmdbFile(new Map([...many.keys()].slice(0, 120).map((key) => [key, new Uint8Array(40)])));
    for (let at = 4096 + 88; at < small.length; at += 61) {
      const copy = small.slice();
      copy[at] = copy[at]! ^ 0xff;
      const file = path.join(root, "flipped.mdb");
      writeFileSync(file, copy);
      try {
        const lmdb = openLmdb(file);
        try {
          lmdb.get("8-00031");
        } finally {
          lmdb.close();
        }
      } catch (error) {
        expect(error).toBeInstanceOf(Error);
        expect(error).not.toBeInstanceOf(RangeError);
      }
    }
  });
});

describe("openLmdbPictures", () => {
  it("reads FFHQ's layout, names a damaged picture and skips it", async () => {
    const pairs = new Map<string, Uint8Array>([["length", new TextEncoder().encode("5")]]);
    for (let i = 0; i < 5; i++) {
      pairs.set(`64-0000${i}`, await grey(10 * i, 64));
      pairs.set(`128-0000${i}`, i === 3 ? Buffer.from("damaged") : await grey(100 + i, 128));
    }
    const folder = write("ffhq", lmdbFile(pairs));
    const warnings: string[] = [];
    const warn = (message: string): number => warnings.push(message);
    const level = (picture: Float32Array): number => Math.round((picture[0]! + 1) * 127.5);
    const exact = await openLmdbPictures(folder, { side: 64, warn });
    expect(exact).toMatchObject({ length: 5, channels: 3, side: 64 });
    expect(level(await exact.get(2))).toBe(20);
    await expect(exact.get(5)).rejects.toThrow(RangeError);
    const larger = await openLmdbPictures(folder, { side: 96, channels: 1, warn });
    expect(larger.length).toBe(4);
    expect(await larger.get(0)).toHaveLength(96 * 96);
    expect(level(await larger.get(3))).toBe(104);
    expect(level(await (await openLmdbPictures(folder, { side: 32 })).get(1))).toBe(10);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("128-00003");
  });

  it("says what is wrong in one line", async () => {
    const none = write("none", lmdbFile(new Map([["a", new Uint8Array(3)]])));
    for (const [folder, message] of [
      [path.join(root, "absent"), /no data\.mdb there/],
      [none, /holds 1 keys/],
      [write("nothing", new Uint8Array(9000)), /not an LMDB file/],
    ] as const) {
      const failure: unknown = await openLmdbPictures(folder, { side: 8 }).catch((e: unknown) => e);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(message);
      expect((failure as Error).message).toMatch(/^dataset\.root: [^\n]*256-00000$/);
    }
  });
});
