import { mkdirSync, writeFileSync } from "node:fs";
import promises from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import path from "node:path";
import sharp from "sharp";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { openImageFolder } from "../../src/io/image-folder.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const root = temporaryFolder();
const grey = (level: number): Promise<Buffer> =>
  sharp({ create: { width: 6, height: 4, channels: 3, background: { r: level, g: level, b: level } } })
    .png()
    .toBuffer();
const levelOf = (picture: Float32Array): number => Math.round((picture[0]! + 1) * 127.5);

beforeAll(async () => {
  mkdirSync(path.join(root, "n01"));
  writeFileSync(path.join(root, "n01", "b.PNG"), await grey(20));
  writeFileSync(path.join(root, "n01", "a.png"), await grey(10));
  writeFileSync(path.join(root, "z with space.png"), await grey(30));
  writeFileSync(path.join(root, "bad.jpg"), "not a picture");
  writeFileSync(path.join(root, "notes.txt"), "ignored");
});

describe("openImageFolder", () => {
  it("lists sub-folders in order, names and skips a damaged picture", async () => {
    const warnings: string[] = [];
    const progress: number[] = [];
    const dataset = await openImageFolder(root, {
      side: 4,
      warn: (message) => warnings.push(message),
      progress: (done) => progress.push(done),
    });
    expect(dataset).toMatchObject({ length: 3, channels: 3, side: 4 });
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toContain("bad.jpg");
    expect(progress).toEqual([1, 2, 3, 4]);
    const pictures = await Promise.all([0, 1, 2].map((i) => dataset.get(i)));
    expect(pictures.map(levelOf)).toEqual([10, 20, 30]);
    expect(pictures[0]).toHaveLength(48);
    await expect(dataset.get(3)).rejects.toThrow(RangeError);
  });

  it("reads one channel, and reads again what the cache cannot hold", async () => {
    const dataset = await openImageFolder(root, {
      side: 4,
      channels: 1,
      cacheBytes: 16,
      warn: () => undefined,
    });
    for (const round of [0, 1]) expect(levelOf(await dataset.get(2)), `round ${round}`).toBe(30);
    expect(await dataset.get(2)).toHaveLength(16);
  });

  it("leaves out folders of results inside it", async () => {
    const own = temporaryFolder();
    for (const name of ["a.png", "out/samples/b.png", "outside/c.png"]) {
      mkdirSync(path.dirname(path.join(own, name)), { recursive: true });
      writeFileSync(path.join(own, name), await grey(10));
    }
    const length = async (...except: string[]) => (await openImageFolder(own, { side: 4, except })).length;
    expect(await length(path.join(own, "out", "samples"))).toBe(2);
    expect(await length(path.join(own, "out"), path.join(own, "outside"))).toBe(1);
    // What lies around the folder or beside it leaves it whole.
    expect(await length(own, path.dirname(own), path.join(own, "..", "other"))).toBe(3);
  });

  it("follows a list", async () => {
    const subsetTxt = path.join(root, "list.txt");
    writeFileSync(subsetTxt, "# mine\nz with space.png 7\r\nn01/b.PNG\n\na.png 3\n");
    const dataset = await openImageFolder(root, { side: 4, subsetTxt });
    const pictures = await Promise.all([0, 1, 2].map((i) => dataset.get(i)));
    expect(pictures.map(levelOf)).toEqual([30, 20, 10]);
    writeFileSync(subsetTxt, "n01/none.png\n");
    await expect(openImageFolder(root, { side: 4, subsetTxt })).rejects.toThrow(/subset_txt.*none\.png/);
    await expect(openImageFolder(root, { side: 4, subsetTxt: "absent.txt" })).rejects.toThrow(
      /subset_txt.*absent\.txt/,
    );
  });

  it("keeps a stand-in for a damaged picture on its side of the split", async () => {
    const large = temporaryFolder();
    const good = [await grey(0), await grey(1)];
    for (let i = 0; i < 1010; i++) {
      const bytes = i === 1 || i === 950 ? Buffer.from("damaged") : good[i === 101 || i === 50 ? 1 : 0]!;
      writeFileSync(path.join(large, `${String(i).padStart(4, "0")}.png`), bytes);
    }
    const warnings: string[] = [];
    const dataset = await openImageFolder(large, { side: 4, warn: (message) => warnings.push(message) });
    expect(dataset.length).toBe(1010);
    expect(warnings).toEqual([]);
    expect(levelOf(await dataset.get(1))).toBe(1);
    expect(levelOf(await dataset.get(950))).toBe(1);
    expect(levelOf(await dataset.get(1))).toBe(1);
    expect(warnings).toHaveLength(2);
  });

  it("says what to pass where there is nothing", async () => {
    const empty = temporaryFolder();
    const onlyBad = temporaryFolder();
    writeFileSync(path.join(onlyBad, "x.png"), "x");
    for (const folder of ["", empty, path.join(empty, "none"), path.join(root, "bad.jpg"), onlyBad]) {
      const failure: unknown = await openImageFolder(folder, { side: 4, warn: () => undefined }).catch(
        (e: unknown) => e,
      );
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(/^dataset\.root: /);
      expect((failure as Error).message).toContain(folder);
    }
  });

  it("names the sub-folder that cannot be read", async () => {
    const inner = path.join(root, "n01");
    const denied = Object.assign(new Error("denied"), { code: "EACCES", path: inner });
    const readdir = vi.spyOn(promises, "readdir").mockRejectedValue(denied);
    syncBuiltinESMExports();
    try {
      await expect(openImageFolder(root, { side: 4 })).rejects.toThrow(
        `dataset.root: cannot be read (EACCES); got ${inner}; make it readable, or move it away`,
      );
    } finally {
      readdir.mockRestore();
      syncBuiltinESMExports();
    }
  });
});
