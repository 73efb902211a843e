import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { decodeBmp } from "../../src/io/bmp.ts";
import {
  encodePng,
  PictureError,
  readPicture,
  readWhole,
  square,
  tile,
  writePng,
} from "../../src/io/images.ts";
import { centreSquare, halve, resizeCubic } from "../../src/io/resample.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const at = (name: string): string => path.join(folder, name);
const levels = (picture: Float32Array): number[] => Array.from(picture, (v) => Math.round((v + 1) * 127.5));

/** A raw picture from a function of (x, y, c). */
function pixels(
  width: number,
  height: number,
  channels: 1 | 3 | 4,
  f: (x: number, y: number, c: number) => number,
) {
  const data = new Uint8Array(width * height * channels);
  for (let i = 0; i < data.length; i++) {
    const p = Math.floor(i / channels);
    data[i] = f(p % width, Math.floor(p / width), i % channels);
  }
  return { data, width, height, channels };
}
const encode = ({ data, ...raw }: ReturnType<typeof pixels>) => sharp(data, { raw });

describe("readPicture", () => {
  it("reads RGB as CHW in [-1, 1]", async () => {
    await encode(pixels(3, 3, 3, (x, y, c) => 60 * x + 20 * y + c))
      .png()
      .toFile(at("rgb.png"));
    const picture = levels(await readPicture(at("rgb.png"), { side: 3 }));
    const expected = [0, 1, 2].flatMap((c) =>
      [0, 1, 2].flatMap((y) => [0, 1, 2].map((x) => 60 * x + 20 * y + c)),
    );
    expect(picture).toEqual(expected);
  });

  it("brings grey, 16 bits and palettes to RGB", async () => {
    await encode(pixels(4, 4, 1, () => 90))
      .greyscale()
      .png()
      .toFile(at("grey.png"));
    expect(new Set(levels(await readPicture(at("grey.png"), { side: 4 })))).toEqual(new Set([90]));
    await encode(pixels(4, 4, 3, () => 90))
      .toColourspace("rgb16")
      .png()
      .toFile(at("deep.png"));
    expect(new Set(levels(await readPicture(at("deep.png"), { side: 4 })))).toEqual(new Set([90]));
    await encode(pixels(4, 4, 3, (x) => 100 * (x >> 1)))
      .gif()
      .toFile(at("palette.gif"));
    expect(new Set(levels(await readPicture(at("palette.gif"), { side: 4 })))).toEqual(new Set([0, 100]));
  });

  it("brings CMYK to RGB", async () => {
    const orange = pixels(8, 8, 3, (_x, _y, c) => [250, 130, 20][c]!);
    await encode(orange).toColourspace("cmyk").jpeg({ quality: 100 }).toFile(at("cmyk.jpg"));
    const picture = levels(await readPicture(at("cmyk.jpg"), { side: 8 }));
    const [r, g, b] = [picture[0], picture[64], picture[128]];
    expect(Math.abs(r! - 250)).toBeLessThan(25);
    expect(Math.abs(g! - 130)).toBeLessThan(25);
    expect(b!).toBeLessThan(60);
  });

  it("applies EXIF rotation", async () => {
    const dark = pixels(32, 16, 3, (x) => (x < 16 ? 0 : 255));
    await encode(dark).withMetadata({ orientation: 6 }).jpeg({ quality: 100 }).toFile(at("turned.jpg"));
    // Turned by 90 degrees clockwise, left goes up: the centre square is dark above and bright below.
    const picture = levels(await readPicture(at("turned.jpg"), { side: 16, channels: 1 }));
    expect(picture[16 + 8]!).toBeLessThan(40);
    expect(picture[14 * 16 + 8]!).toBeGreaterThan(215);
  });

  it("lays alpha over the background", async () => {
    await encode(pixels(2, 2, 4, (x, _y, c) => (c === 3 ? [0, 51][x]! : 100)))
      .png()
      .toFile(at("alpha.png"));
    const picture = levels(await readPicture(at("alpha.png"), { side: 2, background: [200, 0, 50] }));
    expect(picture).toEqual([200, 180, 200, 180, 0, 20, 0, 20, 50, 60, 50, 60]);
  });

  it("does not let hidden colours bleed when it shrinks", async () => {
    await encode(pixels(4, 4, 4, (x, _y, c) => (c === 3 ? (x % 2) * 255 : x % 2 ? 200 : 0)))
      .png()
      .toFile(at("hidden.png"));
    const picture = levels(await readPicture(at("hidden.png"), { side: 2, background: [200, 200, 200] }));
    expect(new Set(picture)).toEqual(new Set([200]));
  });

  it("makes one channel of three by their luma", async () => {
    const weights = [0.299, 0.587, 0.114];
    for (const [own, weight] of weights.entries()) {
      await encode(pixels(2, 2, 3, (_x, _y, c) => (c === own ? 255 : 0)))
        .png()
        .toFile(at("pure.png"));
      const picture = await readPicture(at("pure.png"), { side: 2, channels: 1 });
      expect(picture).toEqual(new Float32Array(4).fill(Math.round(255 * weight) / 127.5 - 1));
    }
  });

  it("names a damaged file", async () => {
    await encode(pixels(64, 64, 3, (x, y) => (x * 37 + y * 91) % 256))
      .jpeg()
      .toFile(at("whole.jpg"));
    const whole = readFileSync(at("whole.jpg"));
    writeFileSync(at("cut.jpg"), whole.subarray(0, whole.length / 2));
    writeFileSync(at("text.png"), "no picture at all");
    writeFileSync(at("empty.webp"), "");
    for (const name of ["cut.jpg", "text.png", "empty.webp", "none.png"]) {
      const failure: unknown = await readPicture(at(name), { side: 8 }).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(PictureError);
      expect((failure as Error).message).toContain(at(name));
      expect((failure as Error).message).not.toContain("\n");
    }
  });
});

describe("readWhole", () => {
  it("lays alpha over white: what is fully transparent is white, whatever its colour", async () => {
    await encode(pixels(3, 2, 4, (x, _y, c) => (c === 3 ? [0, 51, 255][x]! : [100, 0, 200][c]!)))
      .png()
      .toFile(at("glass.png"));
    const picture = await readWhole(at("glass.png"));
    expect([picture.channels, picture.height, picture.width]).toEqual([3, 2, 3]);
    const row = (c: number): number[] => [255, 204 + c / 5, c];
    expect(levels(picture.data)).toEqual([100, 0, 200].flatMap((c) => [...row(c), ...row(c)]));
    await encode(pixels(2, 1, 4, () => 0))
      .png()
      .toFile(at("nothing.png"));
    const { data, channels } = await readWhole(at("nothing.png"));
    expect(channels).toBe(1);
    expect(data).toEqual(Float32Array.of(1, 1));
  });
});

describe("bitmaps", () => {
  /** A bottom-up bitmap of 24 or 32 bits by hand. */
  function bmp(
    bits: 24 | 32,
    width: number,
    height: number,
    rgb: (x: number, y: number) => number[],
  ): Buffer {
    const stride = Math.ceil((width * bits) / 32) * 4;
    const bytes = Buffer.alloc(54 + stride * height);
    bytes.write("BM");
    bytes.writeUInt32LE(54, 10);
    bytes.writeUInt32LE(40, 14);
    bytes.writeInt32LE(width, 18);
    bytes.writeInt32LE(height, 22);
    bytes.writeUInt16LE(bits, 28);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) {
        const at = 54 + (height - 1 - y) * stride + (x * bits) / 8;
        bytes.set([...rgb(x, y)].reverse(), at);
      }
    }
    return bytes;
  }

  it("reads 24 and 32 bits", () => {
    for (const bits of [24, 32] as const) {
      const { data } = decodeBmp(bmp(bits, 3, 2, (x, y) => [x, 10 * y, 200]));
      expect([...data]).toEqual([0, 0, 200, 1, 0, 200, 2, 0, 200, 0, 10, 200, 1, 10, 200, 2, 10, 200]);
    }
  });

  it("refuses cut and compressed ones by name", async () => {
    const whole = bmp(24, 5, 5, () => [1, 2, 3]);
    for (const length of [2, 30, 54, whole.length - 1]) {
      writeFileSync(at("cut.bmp"), whole.subarray(0, length));
      await expect(readPicture(at("cut.bmp"), { side: 2 })).rejects.toThrow(/cut\.bmp/);
    }
    whole.writeUInt32LE(1, 30);
    expect(() => decodeBmp(whole)).toThrow(/compression 1/);
  });
});

describe("resampling", () => {
  it("halves by means of four", () => {
    const image = { width: 4, height: 2, channels: 1, data: Float32Array.of(1, 2, 3, 4, 5, 6, 7, 8) };
    expect([...halve(image).data]).toEqual([3.5, 5.5]);
  });

  it("cubic convolution keeps constants, and quadratics away from the border", () => {
    const width = 20;
    const f = (x: number): number => 0.3 * x * x - 2 * x + 1;
    const image = {
      width,
      height: 1,
      channels: 1,
      data: Float32Array.from({ length: width }, (_, i) => f(i)),
    };
    const larger = resizeCubic(image, 50, 1).data;
    for (let i = 8; i < 42; i++) expect(larger[i]).toBeCloseTo(f((i + 0.5) * 0.4 - 0.5), 3);
    const flat = resizeCubic({ ...image, data: image.data.map(() => 7) }, 9, 1).data;
    for (const value of flat) expect(value).toBeCloseTo(7, 5);
  });

  it("cuts the centre of the longer side", () => {
    const data = Float32Array.from({ length: 8 * 4 }, (_, i) => i % 8);
    expect([...centreSquare({ width: 8, height: 4, channels: 1, data }, 4).data.subarray(0, 4)]).toEqual([
      2, 3, 4, 5,
    ]);
  });
});

describe("writing", () => {
  it("writes and reads back the same levels", async () => {
    const data = Float32Array.from({ length: 3 * 16 }, (_, i) => (i * 5) / 127.5 - 1);
    await writePng(at("back.png"), square(data, 3));
    const back = await readPicture(at("back.png"), { side: 4 });
    for (let i = 0; i < data.length; i++) expect(back[i]).toBeCloseTo(data[i]!, 5);
    const grey = await sharp(await encodePng(square(Float32Array.of(-3, 3, 0, -1), 1))).metadata();
    expect(grey).toMatchObject({ width: 2, height: 2, format: "png" });
  });

  it("tiles pictures of several sizes with a gutter", () => {
    const large = square(new Float32Array(16).fill(-1), 1);
    const small = square(Float32Array.of(0.1, 0.2, 0.3, 0.4), 1);
    const grid = tile([large, small, large], { columns: 2, gutter: 1 });
    expect([grid.width, grid.height]).toEqual([11, 11]);
    const at = (x: number, y: number): number => grid.data[y * 11 + x]!;
    expect(at(0, 0)).toBe(1);
    expect(at(1, 1)).toBe(-1);
    expect(at(5, 3)).toBe(1);
    expect([at(6, 1), at(7, 2), at(8, 1), at(9, 4)]).toEqual([0.1, 0.1, 0.2, 0.4].map(Math.fround));
    expect(at(7, 7)).toBe(1);
    expect(tile([large], { zoom: 3, gutter: 0 })).toMatchObject({ width: 12, height: 12 });
  });
});
