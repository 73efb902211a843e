import { describe, expect, test } from "vitest";
import { Batches, type Batch, type BatchOptions } from "../../src/deft/batches.ts";
import type { ImageDataset } from "../../src/deft/dataset.ts";

const N = 10;
const plain: BatchOptions = { batchSize: 4, seed: 3, shuffle: true, dropLast: false, flip: false };

/** Pictures that say their index: all of picture i is i. */
const constants = (versions?: number): ImageDataset => ({
  ...{ name: "constants", length: N * (versions ?? 1), channels: 1, side: 2 },
  ...(versions && { versions }),
  get: (i) => Promise.resolve(new Float32Array(4).fill(i)),
  label: (i) => 100 + i,
});

/** The steps `from` … `to` − 1. */
async function steps(batches: Batches, from: number, to: number): Promise<Batch[]> {
  const all: Batch[] = [];
  for (let step = from; step < to; step++) all.push(await batches.get(step));
  return all;
}

/** Which pictures a batch of constants holds, each checked to be whole. */
function picturesOf({ values, count, labels }: Batch): number[] {
  expect(values).toHaveLength(4 * count);
  const seen = Array.from({ length: count }, (_, k) => values[4 * k]!);
  expect([...values]).toEqual(seen.flatMap((v) => [v, v, v, v]));
  expect(labels).toEqual(seen.map((v) => 100 + v));
  return seen;
}

const ascending = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const range = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, i) => from + i);

describe("batches", () => {
  test("an epoch shows each picture once, the last batch what is left, the next epoch another order", async () => {
    const batches = new Batches(constants(), plain);
    expect(batches.stepsPerEpoch).toBe(3);
    const epochs = [await steps(batches, 0, 3), await steps(batches, 3, 6)];
    for (const [e, epoch] of epochs.entries()) {
      expect(epoch.map((b) => [b.epoch, b.count])).toEqual([
        [e, 4],
        [e, 4],
        [e, 2],
      ]);
      expect(ascending(epoch.flatMap(picturesOf))).toEqual(range(0, N));
    }
    const [first, second] = epochs.map((epoch) => epoch.flatMap(picturesOf));
    expect(second).not.toEqual(first);
    expect(first).not.toEqual(range(0, N));
  });

  test("a step's pictures follow from its number alone, whatever was asked for before", async () => {
    const whole = await steps(new Batches(constants(), plain), 0, 9);
    const batches = new Batches(constants(), plain);
    for (const step of [7, 2, 8, 0, 4]) expect(await batches.get(step)).toEqual(whole[step]);
    const [other] = await steps(new Batches(constants(), { ...plain, seed: 4 }), 0, 1);
    expect(other).not.toEqual(whole[0]);
  });

  test("dropLast leaves out the smaller batch; a set smaller than a batch is one of its own", async () => {
    const batches = new Batches(constants(), { ...plain, dropLast: true });
    expect(batches.stepsPerEpoch).toBe(2);
    const epoch = await steps(batches, 0, 2);
    expect(epoch.map((b) => b.count)).toEqual([4, 4]);
    expect(new Set(epoch.flatMap(picturesOf)).size).toBe(8);
    expect((await batches.get(2)).epoch).toBe(1);
    for (const dropLast of [true, false]) {
      const small = new Batches(constants(), { ...plain, batchSize: 16, dropLast });
      expect(small.stepsPerEpoch).toBe(1);
      const [one, two] = await steps(small, 0, 2);
      expect(ascending(picturesOf(one!))).toEqual(range(0, N));
      expect(two!.epoch).toBe(1);
    }
  });

  test("without shuffle every epoch has the natural order", async () => {
    const batches = new Batches(constants(), { ...plain, shuffle: false });
    for (const e of [0, 1])
      expect((await steps(batches, 3 * e, 3 * e + 3)).flatMap(picturesOf)).toEqual(range(0, N));
  });

  test("epoch e shows version e of each picture, then the first again", async () => {
    const batches = new Batches(constants(3), plain);
    expect(batches.stepsPerEpoch).toBe(3);
    for (const e of range(0, 7)) {
      const seen = (await steps(batches, 3 * e, 3 * e + 3)).flatMap(picturesOf);
      expect(ascending(seen)).toEqual(range(N * (e % 3), N * (e % 3) + N));
    }
  });

  test("flip mirrors about half of the pictures, all rows and channels of them, other ones each step", async () => {
    const side = 3;
    // Rows of every channel rise from left to right, each from a value of its own.
    const ramp = Float32Array.from(
      { length: 3 * side * side },
      (_, i) => 10 * Math.floor(i / side) + (i % side),
    );
    const mirror = Float32Array.from(ramp, (_, i) => ramp[i - (i % side) + side - 1 - (i % side)]!);
    const get = () => Promise.resolve(ramp.slice());
    const data: ImageDataset = { name: "ramps", length: 8, channels: 3, side, get };
    const options = { ...plain, batchSize: 8, flip: true };
    const all = await steps(new Batches(data, options), 0, 12);
    const flips = all.map(({ values }) =>
      range(0, 8).map((k) => {
        const picture = values.slice(k * ramp.length, (k + 1) * ramp.length);
        const isMirrored = picture[0] !== ramp[0];
        expect(picture).toEqual(isMirrored ? mirror : ramp);
        return isMirrored;
      }),
    );
    // 96 fair draws: within four deviations of the half.
    expect(Math.abs(flips.flat().filter(Boolean).length - 48)).toBeLessThan(20);
    expect(new Set(flips.map(String)).size).toBeGreaterThan(8);
    const [straight] = await steps(new Batches(data, { ...options, flip: false }), 0, 1);
    range(0, 8).forEach((k) =>
      expect(straight!.values.slice(k * ramp.length, (k + 1) * ramp.length)).toEqual(ramp),
    );
    expect(straight!.labels).toBeNull();
  });
});
