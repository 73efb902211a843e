import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { File, ready } from "h5wasm/node";
import { beforeAll, describe, expect, it } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { openData } from "../../src/cli/data.ts";
import { listLodopab, openLodopab } from "../../src/io/lodopab.ts";
import { openNpyFolder } from "../../src/io/npy-folder.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const root = temporaryFolder();

/** A file as NumPy writes it. */
function npy(descr: string, shape: number[], bytes: Uint8Array, fortran = false): Uint8Array {
  const order = fortran ? "True" : "False";
  const text = `{'descr': '${descr}', 'fortran_order': ${order}, 'shape': (${shape.join(", ")}), }\n`;
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  return Buffer.concat([head, Buffer.from(text, "latin1"), bytes]);
}
const bytesOf = (data: ArrayBufferView): Uint8Array =>
  new Uint8Array(data.buffer as ArrayBuffer, data.byteOffset, data.byteLength);
const folderOf = (name: string, files: Record<string, Uint8Array>): string => {
  const folder = path.join(root, name);
  mkdirSync(folder);
  for (const [file, bytes] of Object.entries(files)) writeFileSync(path.join(folder, file), bytes);
  return folder;
};
const close = (got: Float32Array, want: number[]): void => {
  expect(got).toHaveLength(want.length);
  want.forEach((v, i) => expect(got[i]).toBeCloseTo(v, 6));
};

describe("openNpyFolder", () => {
  it("reads [0,1] and Hounsfield units, row and column order, both byte orders", async () => {
    const swapped = Buffer.from(bytesOf(Float32Array.of(0, 0.25, 0.5, 1))).swap32();
    const folder = folderOf("npy", {
      "a.npy": npy("<f8", [2, 2], bytesOf(Float64Array.of(0, 0.25, 0.5, 1))),
      "b.npy": npy("<f4", [2, 2], bytesOf(Float32Array.of(0, 0.25, 0.5, 1)), true),
      "c.npy": npy(">f4", [1, 2, 2], swapped),
      "d.npy": npy("<i2", [2, 2], bytesOf(Int16Array.of(-1024, 0, 3071, -3000))),
      "notes.txt": Buffer.from("ignored"),
    });
    const data = await openNpyFolder(folder, { side: 2 });
    expect(data).toMatchObject({ length: 4, channels: 1, side: 2 });
    close(await data.get(0), [-1, -0.5, 0, 1]);
    close(await data.get(1), [-1, 0, -0.5, 1]);
    close(await data.get(2), [-1, -0.5, 0, 1]);
    close(await data.get(3), [-1, (2 * 1024) / 4095 - 1, 1, -1]);
    await expect(data.get(4)).rejects.toThrow(RangeError);
  });

  it("takes what leaves [-0.5, 1.5] for Hounsfield units, on either side", async () => {
    const folder = folderOf("ranges", {
      "a.npy": npy("<f4", [2, 2], bytesOf(Float32Array.of(0, 0.5, 1, 2))),
      "b.npy": npy("<f4", [2, 2], bytesOf(Float32Array.of(-1, 0, 0.5, 1))),
      "c.npy": npy("<f4", [2, 2], bytesOf(Float32Array.of(-0.5, 0, 0.5, 1.5))),
    });
    const data = await openNpyFolder(folder, { side: 2 });
    const units = (values: number[]) => values.map((v) => (2 * (v + 1024)) / 4095 - 1);
    close(await data.get(0), units([0, 0.5, 1, 2]));
    close(await data.get(1), units([-1, 0, 0.5, 1]));
    close(await data.get(2), [-1, -1, 0, 1]);
  });

  it("cuts the centre square and halves it", async () => {
    const wide = Float32Array.from({ length: 4 * 8 }, (_, i) => (i % 8 < 2 || i % 8 > 5 ? 1 : 0.25));
    const data = await openNpyFolder(folderOf("wide", { "a.npy": npy("<f4", [4, 8], bytesOf(wide)) }), {
      side: 2,
    });
    close(await data.get(0), [-0.5, -0.5, -0.5, -0.5]);
  });

  it("names and skips what is no slice, and refuses a folder of nothing else", async () => {
    const good = npy("<f4", [2, 2], bytesOf(Float32Array.of(0, 0, 0, 0)));
    const bad = {
      "cut.npy": good.slice(0, good.length - 3),
      "huge.npy": npy("<f4", [4_000_000_000, 4_000_000_000], new Uint8Array(8)),
      "nan.npy": npy("<f4", [2, 2], bytesOf(Float32Array.of(0, NaN, 0, 0))),
      "object.npy": npy("|O", [2, 2], new Uint8Array(32)),
      "text.npy": Buffer.from("no array, only text"),
      "volume.npy": npy("<f4", [2, 2, 2], new Uint8Array(32)),
    };
    const warnings: string[] = [];
    const warn = (message: string): number => warnings.push(message);
    const data = await openNpyFolder(folderOf("mixed", { ...bad, "good.npy": good }), { side: 2, warn });
    expect(data.length).toBe(1);
    expect(warnings).toHaveLength(6);
    Object.keys(bad).forEach((file, i) =>
      expect(warnings[i]).toMatch(new RegExp(`${file}: [^\n]*; skipped$`)),
    );
    const only = folderOf("only bad", bad);
    for (const folder of [only, path.join(root, "absent"), folderOf("empty", {})]) {
      const failure: unknown = await openNpyFolder(folder, { side: 2, warn }).catch((e: unknown) => e);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(/^dataset\.root: [^\n]+$/);
    }
  });
});

describe("LoDoPaB-CT", () => {
  const folder = path.join(root, "lodopab");
  const write = (name: string, shape: number[], level: (i: number) => number, key = "data"): void => {
    const file = new File(path.join(folder, name), "w");
    const size = shape.reduce((a, b) => a * b, 1);
    file.create_dataset({ name: key, data: Float32Array.from({ length: size }, (_, i) => level(i)), shape });
    file.close();
  };

  beforeAll(async () => {
    await ready;
    mkdirSync(folder);
    write("ground_truth_train_000.hdf5", [3, 4, 4], (i) => Math.floor(i / 16) / 4);
    write("ground_truth_train_001.hdf5", [2, 4, 4], (i) => (3 + Math.floor(i / 16)) / 4);
    write("ground_truth_validation_000.hdf5", [2, 4, 4], () => 0.5);
  });

  it("reads the slices of all files of a split in order", async () => {
    const files = await listLodopab(folder);
    expect(files.train).toHaveLength(2);
    const data = await openLodopab(folder, files.train, { side: 4 });
    expect(data).toMatchObject({ length: 5, channels: 1, side: 4 });
    for (const [i, v] of [-1, -0.5, 0, 0.5, 1].entries())
      close(await data.get(i), new Array<number>(16).fill(v));
  });

  it("serves a run with its own splits, for one channel only", async () => {
    const { config } = resolveConfig(["model=phantoms", "dataset=lodopab", `dataset.root=${folder}`]);
    const data = await openData(config);
    expect([data.train.length, data.validation.length]).toEqual([5, 2]);
    expect((await data.validation.get(0))[0]).toBe(0);
    const colour = { ...config, dataset: { ...config.dataset, channels: 3 } };
    await expect(openData(colour)).rejects.toThrow(/^dataset\.channels: [^\n]*model=phantoms$/);
  });

  it("validates with the validation split though there is a test split, and with that where there is no other", async () => {
    write("ground_truth_test_000.hdf5", [3, 4, 4], () => 0.25);
    const { config } = resolveConfig(["model=phantoms", "dataset=lodopab", `dataset.root=${folder}`]);
    const both = await openData(config);
    expect([both.train.length, both.validation.length]).toEqual([5, 2]);
    expect((await both.validation.get(0))[0]).toBe(0);
    rmSync(path.join(folder, "ground_truth_validation_000.hdf5"));
    const one = await openData(config);
    expect([one.train.length, one.validation.length]).toEqual([5, 3]);
    expect((await one.validation.get(0))[0]).toBe(-0.5);
  });

  it("refuses other files in one line", async () => {
    write("other.hdf5", [3, 4], () => 0);
    write("named.hdf5", [3, 4, 4], () => 0, "images");
    writeFileSync(path.join(folder, "text.hdf5"), "no HDF5 at all");
    for (const file of ["other.hdf5", "named.hdf5", "text.hdf5", "absent.hdf5"]) {
      const failure: unknown = await openLodopab(folder, [file], { side: 4 }).catch((e: unknown) => e);
      expect(failure, file).toBeInstanceOf(UserError);
      expect((failure as Error).message).toMatch(
        /^dataset\.root: [^\n]+\.hdf5 is no LoDoPaB file; got [^\n]+$/,
      );
    }
    await expect(listLodopab(root)).rejects.toThrow(/^dataset\.root: no ground_truth/);
  });
});
