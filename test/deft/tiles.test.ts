import { describe, expect, it, test } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { joined, pixelwise, type Footprint } from "../../src/deft/footprint.ts";
import { deviationOf } from "../../src/deft/metrics.ts";
import { layoutOf, makeTask, type Layout } from "../../src/deft/task.ts";
import { blend, canTile, cut, planTiles, tileOrigin, tileStride } from "../../src/deft/tiles.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const with_ = (o: Partial<Footprint>): Footprint => ({ ...pixelwise, ...o });

/** [height, width, side, footprint]. */
const cases: [number, number, number, Footprint][] = [
  [9, 9, 9, pixelwise],
  [10, 23, 9, pixelwise],
  [61, 37, 16, pixelwise],
  [33, 97, 32, with_({ halo: 2 })],
  [71, 40, 32, with_({ halo: 6, block: 1 })],
  [44, 52, 32, with_({ halo: 6, block: 4, scale: 4 })],
  [96, 48, 32, with_({ block: 16 })],
];

describe.each(cases)("tiles over %i×%i of side %i", (height, width, side, footprint) => {
  const plan = planTiles(height, width, side, footprint);

  it("have weights that sum to one, none along an inner border", () => {
    for (const [length, { starts, weights }] of [
      [height, plan.rows],
      [width, plan.columns],
    ] as const) {
      const total = new Float64Array(length);
      starts.forEach((start, k) => {
        expect(start % footprint.block).toBe(0);
        weights[k]!.forEach((w, i) => {
          total[start + i]! += w;
          expect(w).toBeGreaterThanOrEqual(0);
          const inset = Math.max(footprint.halo, Math.floor(side / 16));
          const isUnused = (k > 0 && i < inset) || (k < starts.length - 1 && i >= side - inset);
          if (isUnused) expect(w).toBe(0);
        });
        if (k > 0) expect(start - starts[k - 1]!).toBeLessThanOrEqual(side - side / 4);
      });
      for (const sum of total) expect(Math.abs(sum - 1)).toBeLessThan(1e-14);
      expect(starts.at(-1)! + side).toBe(length);
    }
  });

  it("give back the picture that they were cut from", () => {
    const data = randomArray(3 * height * width, height, -1, 1);
    const tiles = Array.from({ length: plan.count }, (_, index) => {
      const [top, left] = tileOrigin(plan, index);
      return cut({ data, height, width }, { top, left, height: side, width: side });
    });
    // Rounded to float32 once, from a sum in float64.
    const back = blend(plan, 3, tiles);
    for (const [i, v] of back.entries()) expect(Math.abs(v - data[i]!)).toBeLessThanOrEqual(6e-8);
  });
});

test("tiles pass into each other smoothly", () => {
  const { weights, starts } = planTiles(32, 56, 32, pixelwise).columns;
  expect(starts).toEqual([0, 24]);
  for (const w of weights) {
    const steps = [...w.slice(1)].map((v, i) => Math.abs(v - w[i]!));
    expect(Math.max(...steps)).toBeLessThan(0.4);
  }
});

test("what cannot be cut into tiles", () => {
  expect(canTile(31, 32, pixelwise)).toBe(false);
  expect(canTile(33, 32, with_({ block: 16 }))).toBe(false);
  expect(canTile(48, 32, with_({ block: 16 }))).toBe(true);
  expect(canTile(60, 30, with_({ block: 16 }))).toBe(false);
  expect(canTile(64, 32, with_({ halo: Infinity }))).toBe(false);
  expect(canTile(32, 32, with_({ halo: Infinity }))).toBe(true);
  expect(tileStride(32, with_({ halo: 15 }))).toBe(null);
  expect(() => planTiles(33, 32, 32, with_({ halo: 15 }))).toThrow(RangeError);
});

test("operators one after the other", () => {
  const sr2 = with_({ scale: 2, block: 2 });
  expect(joined([with_({ halo: 2 }), sr2, with_({ halo: 3, lost: [2, 4], block: 8 })])).toEqual({
    ...{ scale: 2, halo: 2 + 2 * 3, block: 16, lost: [4, 8] },
  });
});

const SIDE = 32;
const LARGE = [64, 48] as const;

function blurKernel(height: number, width: number) {
  const values = randomArray(height * width, 3, 0, 1);
  const sum = values.reduce((a, b) => a + b, 0);
  return { values: values.map((v) => v / sum), height, width };
}

/** [degradation, options, tolerance]. deblur_*: singular values under 0.03 are cut, which is not quite local (0.002; 0.015 with the halo left out). */
const local: [string, string[], number][] = [
  ["sr4", [], 1e-5],
  ["bicubic4", [], 1e-5],
  ["bicubic3", [], 1e-5],
  ["deblur_uni", [], 4e-3],
  ["deblur_gauss", [], 4e-3],
  ["blur", [], 1e-5],
  ["blur", ["likelihood.forward_op.padding=replicate"], 1e-5],
  ["blur", ["likelihood.forward_op.padding=valid"], 1e-5],
  ["color", [], 1e-5],
  ["hdr", [], 1e-5],
  ["quant3", [], 1e-5],
  ["deno", [], 1e-5],
  ["jpeg20", [], 1e-4],
  ["blur-sr2", [], 1e-5],
  ["sr2-deno", [], 1e-5],
];

test.each(local)(
  "%s %j: a tile's measurement is a part of the picture's",
  async (deg, options, tolerance) => {
    const side = deg === "bicubic3" ? 24 : SIDE;
    const [height, width] = deg === "bicubic3" ? [48, 36] : LARGE;
    const needsKernel = deg.startsWith("blur");
    const { config } = resolveConfig([
      `algo.deg=${deg}`,
      `model.image_size=${side}`,
      ...(needsKernel ? ["likelihood.forward_op.kernel_filename=kernel.npy"] : []),
      ...options,
    ]);
    const files = needsKernel ? { kernel: blurKernel(3, 5) } : {};
    const engine = await testEngine();
    const measure = async (data: Float32Array, h: number, w: number) => {
      // A task is of square images: the larger picture is measured inside one.
      const size = Math.max(h, w);
      const square = new Float32Array(3 * size * size);
      for (let c = 0; c < 3; c++)
        for (let y = 0; y < h; y++)
          square.set(data.subarray((c * h + y) * w, (c * h + y + 1) * w), (c * size + y) * size);
      const task = makeTask(config, size, 3, null, files);
      const y = engine.scope(() =>
        task.operator(engine, [0]).apply(engine.tensor(square, [1, 3, size, size])),
      );
      const values = { data: await y.read(), height: y.dim(2), width: y.dim(3), channels: y.dim(1) };
      y.dispose();
      return values;
    };
    const { footprint, channels } = layoutOf(config, [3, side, side], files) as Layout;
    const { scale, halo, lost } = footprint;
    const plan = planTiles(height, width, side, footprint);
    const picture = randomArray(3 * height * width, 1, -1, 1);
    const all = await measure(picture, height, width);
    expect(all.channels).toBe(channels);
    const before = Math.ceil(halo / scale);
    let [squares, n] = [0, 0];
    for (let index = 0; index < plan.count; index++) {
      const [top, left] = tileOrigin(plan, index);
      const tile = cut({ data: picture, height, width }, { top, left, height: side, width: side });
      const own = await measure(tile, side, side);
      expect([own.height, own.width].map((v, axis) => scale * v + lost[axis]!)).toEqual([side, side]);
      const part = cut(all, { top: top / scale, left: left / scale, height: own.height, width: own.width });
      // Away from the tile's borders, also those of the picture: outside of it lie zeros here.
      part.forEach((v, i) => {
        const [y, x] = [Math.floor(i / own.width) % own.height, i % own.width];
        const isInside = (j: number, length: number) => j >= before && j < length - before;
        if (!isInside(y, own.height) || !isInside(x, own.width)) return;
        squares += (v - own.data[i]!) ** 2;
        n++;
        if (tolerance < 1e-3) expect(Math.abs(v - own.data[i]!)).toBeLessThan(tolerance);
      });
    }
    expect(n).toBeGreaterThan(50);
    expect(Math.sqrt(squares / n)).toBeLessThan(tolerance);
  },
);

test("no layout where a measurement is no picture", () => {
  for (const deg of ["ct", "phase_retrieval", "ct-deno"]) {
    const { config } = resolveConfig([`algo.deg=${deg}`]);
    expect(layoutOf(config, [3, SIDE, SIDE])).toBe(null);
  }
});

test("the map of deviations against its formula", () => {
  const samples = [0, 1, 2, 3].map((k) => randomArray(3 * 5, k, -1, 1));
  const map = deviationOf(samples, 3);
  expect(map.length).toBe(5);
  map.forEach((v, p) => {
    const variances = [0, 1, 2].map((c) => {
      const values = samples.map((s) => s[c * 5 + p]!);
      const mean = values.reduce((a, b) => a + b, 0) / 4;
      return values.reduce((a, b) => a + (b - mean) ** 2, 0) / 3;
    });
    expect(Math.abs(v - Math.sqrt((variances[0]! + variances[1]! + variances[2]!) / 3))).toBeLessThan(1e-6);
  });
});
