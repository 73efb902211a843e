import { describe, expect, it } from "vitest";
import { splitFinetuning, subset } from "../../src/deft/dataset.ts";
import { boxMasks, freeFormMasks } from "../../src/deft/masks.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { randomStream } from "../../src/deft/random.ts";

describe("splitFinetuning", () => {
  it("thins large sets: every 10th trains, every 100th from 1 on validates", () => {
    const { train, validation } = splitFinetuning(50_000);
    expect([train.length, train[1], train.at(-1)]).toEqual([5000, 10, 49_990]);
    expect([validation.length, validation[0], validation[1]]).toEqual([500, 1, 101]);
    expect(splitFinetuning(1000).validation).toEqual([1, 101, 201, 301, 401, 501, 601, 701, 801, 901]);
  });

  it("keeps all of a small folder, and every 10th of it for validation", () => {
    for (const n of [2, 9, 10, 11, 999]) {
      const { train, validation } = splitFinetuning(n);
      expect(validation).toEqual(Array.from({ length: Math.ceil(n / 10) }, (_, i) => 10 * i));
      expect([...train, ...validation].sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
    }
    expect(splitFinetuning(1)).toEqual({ train: [0], validation: [0] });
  });

  it("subset takes pictures by index", async () => {
    const all = phantoms({ side: 8, length: 20 });
    const some = subset(all, [3, 17]);
    expect(some).toMatchObject({ length: 2, side: 8, channels: 1 });
    expect(await some.get(1)).toEqual(await all.get(17));
    expect(() => some.get(2)).toThrow(RangeError);
  });
});

describe("phantoms", () => {
  it("follow from seed and index, at any side", async () => {
    const dataset = phantoms({ side: 33, length: 5, seed: 1 });
    const picture = await dataset.get(4);
    expect(picture).toHaveLength(33 * 33);
    expect(await phantoms({ side: 33, length: 9, seed: 1 }).get(4)).toEqual(picture);
    expect(await dataset.get(3)).not.toEqual(picture);
    expect(await phantoms({ side: 33, length: 5, seed: 2 }).get(4)).not.toEqual(picture);
    expect(picture[0]).toBe(-1);
    expect(Math.min(...picture)).toBe(-1);
    expect(Math.max(...picture)).toBeGreaterThan(-0.5);
    expect(Math.max(...picture)).toBeLessThanOrEqual(1);
  });

  it("are one body whatever the side", async () => {
    const large = await phantoms({ side: 64, length: 1 }).get(0);
    const small = await phantoms({ side: 32, length: 1 }).get(0);
    let difference = 0;
    for (let i = 0; i < 32 * 32; i++) {
      const at = 2 * Math.floor(i / 32) * 64 + 2 * (i % 32);
      const mean = (large[at]! + large[at + 1]! + large[at + 64]! + large[at + 65]!) / 4;
      difference += Math.abs(mean - small[i]!) / (32 * 32);
    }
    expect(difference).toBeLessThan(0.03);
  });
});

describe("masks", () => {
  const missing = (mask: Float32Array): number =>
    mask.reduce((sum, kept) => sum + (1 - kept), 0) / mask.length;

  it("free-form masks miss 20 to 30 percent", () => {
    for (const side of [16, 32, 100]) {
      const source = freeFormMasks({ height: side, width: side });
      const shares = Array.from({ length: 40 }, (_, i) => missing(source.mask(i)));
      expect(Math.min(...shares)).toBeGreaterThanOrEqual(0.2);
      expect(Math.max(...shares)).toBeLessThanOrEqual(0.3 + 1 / side ** 2);
      expect(Math.max(...shares) - Math.min(...shares)).toBeGreaterThan(0.05);
      expect(source.mask(3)).toEqual(freeFormMasks({ height: side, width: side }).mask(3));
      expect(source.mask(3)).not.toEqual(freeFormMasks({ height: side, width: side, seed: 1 }).mask(3));
    }
  });

  it("masks of other than square pictures", () => {
    const [height, width] = [20, 64];
    for (const source of [freeFormMasks({ height, width }), boxMasks({ height, width })]) {
      const masks = Array.from({ length: 300 }, (_, i) => source.mask(i));
      for (const mask of masks) expect(mask).toHaveLength(height * width);
      const isMissing = (at: (mask: Float32Array) => number | undefined) =>
        masks.some((mask) => at(mask) === 0);
      // Every column and every row is missing somewhere.
      for (let x = 0; x < width; x++)
        expect(isMissing((m) => m.find((kept, i) => kept === 0 && i % width === x))).toBe(true);
      for (let y = 0; y < height; y++)
        expect(isMissing((m) => m.slice(y * width, (y + 1) * width).find((kept) => kept === 0))).toBe(true);
    }
    const boxes = Array.from({ length: 300 }, (_, i) => boxMasks({ height, width }).mask(i));
    const columns = boxes.map(
      (m) => new Set([...m.keys()].filter((p) => m[p] === 0).map((p) => p % width)).size,
    );
    expect([Math.min(...columns), Math.max(...columns)]).toEqual([15, 30]);
  });

  it("box masks leave a pixel row of any picture", () => {
    const source = boxMasks({ height: 16, width: 24, minMaskSize: 256, maxMaskSize: 300 });
    for (let i = 0; i < 5; i++) expect(source.mask(i).filter((v) => v === 1)).toHaveLength(24);
  });

  it("box masks scale with the side", () => {
    for (const [side, low, high] of [
      [256, 60, 120],
      [64, 15, 30],
      [32, 8, 15],
    ] as const) {
      const source = boxMasks({ height: side, width: side });
      const widths = Array.from({ length: 60 }, (_, i) => {
        const mask = source.mask(i);
        const holes = [...mask.keys()].filter((p) => mask[p] === 0);
        const [columns, rows] = [
          new Set(holes.map((p) => p % side)),
          new Set(holes.map((p) => Math.floor(p / side))),
        ];
        expect(columns.size * rows.size).toBe(holes.length);
        return columns.size;
      });
      expect(Math.min(...widths)).toBeGreaterThanOrEqual(low);
      expect(Math.max(...widths)).toBeLessThanOrEqual(high);
    }
  });
});

it("randomStream is uniform and depends on each key", () => {
  const random = randomStream("a", 1);
  const draws = Array.from({ length: 20_000 }, () => random.uniform());
  const mean = draws.reduce((sum, u) => sum + u, 0) / draws.length;
  const variance = draws.reduce((sum, u) => sum + (u - 0.5) ** 2, 0) / draws.length;
  expect(Math.abs(mean - 0.5)).toBeLessThan(0.01);
  expect(Math.abs(variance - 1 / 12)).toBeLessThan(0.003);
  const firsts = ["a/1", "a/2", "b/1"].map((key) => randomStream(...key.split("/")).uniform());
  expect(new Set(firsts).size).toBe(3);
  const dice = new Set(Array.from({ length: 200 }, () => random.integer(1, 6)));
  expect([...dice].sort()).toEqual([1, 2, 3, 4, 5, 6]);
});
