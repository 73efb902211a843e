// Which picture lands in which file, and how: samples, means, deviations, originals, measurements, evolutions, the gate's curve.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { saveSamples, type SampledBatch } from "../../src/cli/sample-results.ts";
import { measurementPicture, savePictures, writeResults, type Results } from "../../src/cli/run-results.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Restored } from "../../src/deft/evaluate.ts";
import { makeTask } from "../../src/deft/task.ts";
import { readWhole } from "../../src/io/images.ts";
import { ParameterSet } from "../../src/nn/parameter.ts";
import { initialise } from "../../src/nn/state.ts";
import { UNet } from "../../src/nn/unet.ts";
import { testEngine } from "../helpers/engine.ts";
import { smallUNet } from "../helpers/small-network.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SIDE = 4;
const SIZE = SIDE * SIDE;
const COUNT = 2;
const STEPS = 3;
const data = {
  ...({ name: "levels", length: COUNT, channels: 1, side: SIDE } as const),
  get: (k: number) => Promise.resolve(level(k).slice(0, SIZE)),
};

/** The pixels of a batch: picture k has the level `base` + k in every pixel but its first, which is black. */
const level = (base: number): Float32Array =>
  Float32Array.from({ length: COUNT * SIZE }, (_, i) =>
    i % SIZE === 0 ? -1 : (base + Math.floor(i / SIZE)) / 127.5 - 1,
  );
/** The bytes of such a picture. */
const bytes = (v: number): number[] => [0, ...new Array<number>(SIZE - 1).fill(v)];
const evolution = Array.from({ length: STEPS }, (_, step) => level(100 + 20 * step));
const measurement = { values: level(60), shape: [COUNT, 1, SIDE, SIDE], isPicture: true };

const folder = temporaryFolder();

async function bytesOf(...names: string[]): Promise<number[]> {
  const { data } = await readWhole(path.join(...names));
  return Array.from(data, (v) => Math.round((v + 1) * 127.5));
}

/** The level of each step in a strip, in the middle of its cell: 2 white pixels between cells of 96. */
async function stripOf(...names: string[]): Promise<number[]> {
  const { data, width, height } = await readWhole(path.join(...names));
  expect([width, height]).toEqual([2 + STEPS * 98, 100]);
  return Array.from({ length: STEPS }, (_, k) =>
    Math.round(((data[50 * width + 2 + 98 * k + 48] as number) + 1) * 127.5),
  );
}

const restored: Restored = {
  ...{ count: COUNT, original: level(10), measurement, evolution },
  methods: new Map([
    ["deft", level(20)],
    ["deft_mean4", level(30)],
  ]),
  scores: new Map([["deft", { psnr: [1, 2], ssim: [1, 1], consistency: [1, 1] }]]),
  inception: new Map(),
};

beforeAll(() => void vi.spyOn(console, "log").mockImplementation(() => undefined));

describe("pictures of a run", () => {
  it("each has its own sample, mean, original, measurement and evolution", async () => {
    const { exp } = resolveConfig([
      ...["exp.save_ori=true", "exp.save_deg=true", "exp.save_evolution=true"],
    ]).config;
    await savePictures(folder, data, restored, 5, exp);
    for (const [k, number] of ["00005", "00006"].entries()) {
      const of = (suffix: string) => bytesOf(folder, "pictures", `${number}${suffix}.png`);
      expect(await of("")).toEqual(bytes(20 + k));
      expect(await of("_mean")).toEqual(bytes(30 + k));
      expect(await of("_ori")).toEqual(bytes(10 + k));
      expect(await of("_deg")).toEqual(bytes(60 + k));
      const strip = await stripOf(folder, "pictures", `${number}_evol.png`);
      expect(strip).toEqual([100 + k, 120 + k, 140 + k]);
    }
  });

  it("measurements that are no pictures are stretched by the cube root from their least to their largest value", () => {
    const values = Float32Array.of(5, 5, 5, 5, 2, 3, 10, 2 + 8 / 27);
    const { data: shown, ...rest } = measurementPicture(
      { measurement: { values, shape: [2, 1, 2, 2], isPicture: false }, count: 2 },
      1,
    );
    expect(rest).toEqual({ channels: 1, height: 2, width: 2 });
    [-1, 0, 1, -1 / 3].forEach((v, i) => expect(shown[i]).toBeCloseTo(v, 6));
  });

  it("the report's gate is that of all of the diffusion's time steps, of the weights that sample", async () => {
    const engine = await testEngine();
    const set = new ParameterSet(engine, new UNet(smallUNet(8, 1)).declarations.list, { trainable: true });
    initialise(set, 5);
    const { config } = resolveConfig([
      "model=phantoms",
      "algo.deg=sr2",
      "algo.val_args.use_ema=true",
      "diffusion.num_diffusion_timesteps=401",
    ]);
    const asked: [readonly number[], boolean][] = [];
    const gate = (ts: readonly number[], useAverage: boolean) => {
      asked.push([ts, useAverage]);
      return Promise.resolve(new Float32Array(ts.length));
    };
    const run = path.join(folder, "run");
    mkdirSync(run);
    writeFileSync(path.join(run, "stats.jsonl"), "");
    await writeResults({
      folder: { path: run },
      gpu: { kind: "lavapipe", name: "it", line: "adapter: it" },
      run: {
        ...{ config, data, task: makeTask(config, SIDE, 1, null) },
        prior: { parameters: { count: 1 } },
        fineTuning: { gate, trainer: { set, average: set.flat, steps: 1 } },
        batches: { stepsPerEpoch: 1 },
      },
      batches: [restored],
      ...{ seconds: { train: 1, sample: 1, total: 2 }, imagesPerSecond: 1, networkCalls: 1 },
      statsFile: path.join(run, "stats.jsonl"),
    } as unknown as Results);
    const times = Array.from({ length: 101 }, (_, i) => 4 * i);
    expect(asked).toEqual([[times, true]]);
    set.dispose();
  });
});

describe("pictures of deft sample", () => {
  it("each has its own samples, mean, deviation, original, measurement and evolution", async () => {
    const { config } = resolveConfig([
      ...["model=phantoms", "algo=dps", "algo.deg=deno", "exp.save_ori=true", "exp.save_deg=true"],
      ...["exp.save_evolution=true", "sample.num_samples=2"],
    ]);
    // The first picture deviates by a half of what the second does, which is the most.
    const deviation = Float32Array.from({ length: COUNT * SIZE }, (_, i) =>
      i % SIZE === 0 ? 0 : i < SIZE ? 0.1 : 0.2,
    );
    const batch: SampledBatch = {
      ...{ count: COUNT, first: 7, original: level(10), measurement, evolution, labels: null },
      pictures: new Map([
        ["dps", level(20)],
        ["dps_mean", level(30)],
      ]),
      samples: new Map([["dps", [level(20), level(40)]]]),
      deviations: new Map([["dps", deviation]]),
      ...{ scores: new Map(), inception: new Map() },
    };
    const own = path.join(folder, "sample");
    await saveSamples(own, data, batch, config);
    for (const [k, number] of ["00007", "00008"].entries()) {
      const of = (suffix: string) => bytesOf(own, "pictures", `${number}${suffix}.png`);
      expect(await of("")).toEqual(bytes(20 + k));
      expect(await of("_sample2")).toEqual(bytes(40 + k));
      expect(await of("_mean")).toEqual(bytes(30 + k));
      expect(await of("_ori")).toEqual(bytes(10 + k));
      expect(await of("_deg")).toEqual(bytes(60 + k));
      expect(await of("_std")).toEqual(bytes([128, 255][k] as number));
      const strip = await stripOf(own, "pictures", `${number}_evol.png`);
      expect(strip).toEqual([100 + k, 120 + k, 140 + k]);
    }
  });
});
