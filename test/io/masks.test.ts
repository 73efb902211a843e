import { writeFileSync } from "node:fs";
import path from "node:path";
import { zipSync } from "fflate";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { openMasks } from "../../src/io/masks.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { npy, packBits, writeNpz } from "../helpers/write-npz.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);

function npz(name: string, arrays: Record<string, Uint8Array>): string {
  writeNpz(at(name), arrays);
  return at(name);
}

describe("openMasks", () => {
  it("reads flat packed bits of side 256, 1 = missing, and shrinks by the nearest pixel", async () => {
    const bits = Array.from({ length: 2 * 256 * 256 }, (_, i) => ((i * 2654435761) >>> 13) & 1);
    const file = npz("flat.npz", {
      "20-30% freeform": npy([bits.length / 8], packBits(bits)),
      other: npy([1], packBits([])),
    });
    const full = await openMasks(file, { height: 256, width: 256 });
    for (const index of [0, 1]) {
      expect([...full.mask(index)]).toEqual(
        bits.slice(index * 65536, (index + 1) * 65536).map((bit) => 1 - bit),
      );
    }
    expect(full.mask(3)).toEqual(full.mask(1));
    const small = (await openMasks(file, { height: 32, width: 32 })).mask(1);
    expect(small[5 * 32 + 9]).toBe(1 - bits[65536 + (5 * 8 + 4) * 256 + 9 * 8 + 4]!);
  });

  it("reads arrays of three axes, packed or not", async () => {
    const bits = Array.from({ length: 3 * 16 * 16 }, (_, i) => (i % 7 === 0 ? 1 : 0));
    const file = npz("axes.npz", {
      p: npy([3, 16, 2], packBits(bits)),
      b: npy([3, 16, 16], Uint8Array.from(bits), "|b1"),
    });
    const expected = bits.slice(512).map((bit) => 1 - bit);
    for (const key of ["p", "b"])
      expect([...(await openMasks(file, { height: 16, width: 16, key })).mask(2)]).toEqual(expected);
  });

  it("says what is wrong with an archive", async () => {
    const short = npz("short.npz", {
      "20-30% freeform": npy([8192], new Uint8Array(8191)),
      f: npy([64, 64], new Uint8Array(4096)),
    });
    const failure = (file: string, key?: string): Promise<unknown> =>
      openMasks(file, { height: 8, width: 8, ...(key ? { key } : {}) }).catch((error: unknown) => error);
    writeFileSync(at("text.npz"), "no archive");
    writeFileSync(at("raw.npz"), zipSync({ "20-30% freeform.npy": Buffer.from("no array") }));
    const cases: [unknown, RegExp][] = [
      [await failure(short), /shape \[8192\].*8191 bytes.*expected/],
      [await failure(short, "f"), /shape \[64, 64\]/],
      [await failure(short, "none"), /no array "none"; got 20-30% freeform, f/],
      [await failure(at("text.npz")), /zip/],
      [await failure(at("raw.npz")), /not an \.npy/],
      [await failure(at("absent.npz")), /no such file/],
    ];
    for (const [error, message] of cases) {
      expect(error).toBeInstanceOf(UserError);
      expect((error as Error).message).toMatch(message);
      expect((error as Error).message).toMatch(/^likelihood\.forward_op\.mask_filename: /);
    }
  });

  it("reads pictures, white = kept, alone or as a folder", async () => {
    const half = Buffer.from(Array.from({ length: 64 }, (_, i) => (i % 8 < 4 ? 255 : 0)));
    await sharp(half, { raw: { width: 8, height: 8, channels: 1 } })
      .png()
      .toFile(at("half.png"));
    const masks = await openMasks(at("half.png"), { height: 4, width: 4 });
    expect([...masks.mask(0).subarray(0, 4)]).toEqual([1, 1, 0, 0]);
    expect(masks.mask(5)).toEqual(masks.mask(0));
    expect((await openMasks(folder, { height: 4, width: 4 })).mask(0)).toEqual(masks.mask(0));
    await sharp(half, { raw: { width: 16, height: 4, channels: 1 } })
      .png()
      .toFile(at("wide.png"));
    await expect(openMasks(at("wide.png"), { height: 4, width: 4 })).rejects.toThrow(
      "wide.png: a mask of 16x4; expected 4x4, or a whole multiple of both sides",
    );
    await expect(openMasks(folder, { height: 4, width: 4 })).rejects.toThrow("wide.png: a mask of 16x4");
    await expect(openMasks(at("half.png"), { height: 16, width: 16 })).rejects.toThrow(
      "a mask of 8x8; expected 16x16",
    );
    for (const name of ["notes.md", "mask.npy"]) {
      writeFileSync(at(name), "x");
      await expect(openMasks(at(name), { height: 4, width: 4 })).rejects.toThrow(
        `mask_filename: ${at(name)}: not a picture; expected png, jpg, webp, bmp, gif, tiff or avif; pass a picture, a folder`,
      );
    }
  });

  it("refuses what keeps nothing and pictures in colour; transparent is black", async () => {
    const own = temporaryFolder();
    const write = async (name: string, rgba: readonly number[]): Promise<string> => {
      const pixels = Buffer.from(Array.from({ length: 16 }, () => rgba).flat());
      pixels.set([255, 255, 255, rgba[3]!], 4);
      const file = path.join(own, name);
      await sharp(pixels, { raw: { width: 4, height: 4, channels: 4 } })
        .png()
        .toFile(file);
      return file;
    };
    const open = (file: string, key = "m") => openMasks(file, { height: 4, width: 4, key });
    const clear = await write("clear.png", [255, 255, 255, 0]);
    await expect(open(clear)).rejects.toThrow(`${clear}: keeps no pixel; expected white where`);
    const red = await write("red.png", [200, 40, 40, 255]);
    await expect(open(red)).rejects.toThrow(`${red}: a picture in colour; expected a grey one`);
    // As lossy compression leaves black.
    const nearly = await write("nearly.png", [9, 0, 4, 255]);
    const mask = await open(nearly);
    expect([...mask.mask(0)]).toEqual(Array.from({ length: 16 }, (_, i) => Number(i === 1)));
    expect(mask.count).toBe(1);
    const half = Array.from({ length: 64 }, (_, i) => Number(i % 2 === 0));
    const nothing = new Array<number>(64).fill(1);
    const file = npz("none.npz", {
      p: npy([2, 8, 1], packBits([...half, ...nothing])),
      m: npy([1, 8, 8], Uint8Array.from(nothing)),
    });
    await expect(open(file, "p")).rejects.toThrow('mask 1 of "p" keeps no pixel; expected 0 where');
    await expect(open(file)).rejects.toThrow('mask 0 of "m" keeps no pixel');
  });
});
