// What `deft restore` does tile by tile: masks of several pictures, noise at the seams, samples, their mean and deviation.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { planInputs } from "../../src/cli/restore-inputs.ts";
import { restoreInputs, tileNoise, writeOutputs } from "../../src/cli/restore-run.ts";
import { configToYaml, TRANSFORM } from "../../src/cli/run-folder.ts";
import { exportTransform } from "../../src/cli/run-results.ts";
import { setUpRun, withRunWeights } from "../../src/cli/train-setup.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { pixelwise } from "../../src/deft/footprint.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { planTiles, tileOrigin } from "../../src/deft/tiles.ts";
import { readWhole, writePng } from "../../src/io/images.ts";
import { randomNormal } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SIDE = 32;
const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);

async function bytesOf(file: string): Promise<number[]> {
  return Array.from((await readWhole(file)).data, (v) => Math.round((v + 1) * 127.5));
}

beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
});

describe("noise of tiles", () => {
  it("is cut from that of the picture, so that tiles have the same where they overlap", async () => {
    const engine = await testEngine();
    const [height, width, side, channels] = [13, 21, 8, 3];
    const plan = planTiles(height, width, side, pixelwise);
    const random = { seed: 4, stream: 23 };
    // Row by row: the noise of a row of all channels.
    const whole = randomNormal(engine, [height, channels, width], random);
    const all = await whole.read();
    whole.dispose();
    const indices = Array.from({ length: plan.count }, (_, k) => k);
    const tiles = tileNoise(engine, plan, indices, { channels, ...random });
    const values = await tiles.read();
    tiles.dispose();
    expect(plan.count).toBeGreaterThan(5);
    let worst = 0;
    for (const [k, index] of indices.entries()) {
      const [top, left] = tileOrigin(plan, index);
      for (let c = 0; c < channels; c++)
        for (let y = 0; y < side; y++)
          for (let x = 0; x < side; x++) {
            const own = values[((k * channels + c) * side + y) * side + x] as number;
            const want = all[((top + y) * channels + c) * width + left + x] as number;
            worst = Math.max(worst, Math.abs(own - want));
          }
    }
    expect(worst).toBe(0);
  });
});

describe("outputs", () => {
  const output = (suffix: string): string => at(`pixels${suffix}.png`);
  const picture = (channels: 1 | 3, data: number[]) => ({
    ...{ data: Float32Array.from(data), channels, height: 1 },
    width: data.length / channels,
  });

  it("of several samples: the first, the mean, and the deviation by 0.5 as white", async () => {
    const samples = [
      [0.2, -0.5, 0.3, 0.9],
      [0.2, -0.3, 0.1, -0.9],
      [0.2, -0.1, 0.5, 0.1],
    ];
    await writeOutputs(
      { output },
      samples.map((s) => picture(1, s)),
    );
    const columns = [0, 1, 2, 3].map((i) => samples.map((s) => s[i] as number));
    const means = columns.map((v) => v.reduce((a, b) => a + b) / 3);
    const deviations = columns.map((v, i) =>
      Math.sqrt(v.reduce((s, x) => s + (x - (means[i] as number)) ** 2, 0) / 2),
    );
    const toByte = (v: number) => Math.min(255, Math.max(0, Math.round((v + 1) * 127.5)));
    expect(await bytesOf(output(""))).toEqual((samples[0] as number[]).map(toByte));
    expect(await bytesOf(output("_mean"))).toEqual(means.map(toByte));
    expect(deviations.map((d) => d > 0.5)).toEqual([false, false, false, true]);
    expect(await bytesOf(output("_std"))).toEqual(deviations.map((d) => toByte((2 * d) / 0.5 - 1)));
  });

  it("of colours: one deviation of all channels", async () => {
    await writeOutputs({ output }, [
      picture(3, [0, 0, 0.1, 0, 0.3, 0]),
      picture(3, [0.2, 0, 0.3, 0, 0.1, 0]),
    ]);
    // Per channel and pixel: deviations of two samples that are 0.2 apart, or 0; their root mean square.
    const deviation = Math.sqrt((3 * 0.02) / 3);
    expect(await bytesOf(output("_std"))).toEqual([Math.round((2 * deviation * 127.5) / 0.5), 0]);
  });
});

describe("a restoring of two pictures", () => {
  it("gives each its own mask and draws samples that differ", async () => {
    const engine = await testEngine();
    const base = ["model=phantoms", "dataset=phantoms", "exp.num_steps=2", "loader.batch_size=1"];
    const trained = resolveConfig([...base, "algo.deg=inp_box", "algo.sigma_y=0"]).config;
    const run = at("run");
    mkdirSync(run);
    writeFileSync(path.join(run, "config.yaml"), configToYaml(trained));
    const train = phantoms({ side: SIDE, length: 2 });
    await withRunWeights(trained, async (weights) => {
      const task = makeTask(trained, SIDE, 1, generatedMasks(trained, SIDE));
      const { fineTuning } = await setUpRun(engine, { config: trained, task, train, ...weights });
      await exportTransform(path.join(run, TRANSFORM), fineTuning, false);
    });
    const masks = at("masks");
    mkdirSync(masks);
    const kept = (k: number, x: number) => (k === 0 ? x < 16 : x >= 16);
    const files = ["a", "b"].map((name) => at(`${name}.png`));
    for (const [k, file] of files.entries()) {
      const size = { channels: 1 as const, height: SIDE, width: SIDE };
      await writePng(file, { ...size, data: randomArray(SIDE * SIDE, 7, -1, 1) });
      const mask = Float32Array.from({ length: SIDE * SIDE }, (_, i) => (kept(k, i % SIDE) ? 1 : -1));
      await writePng(path.join(masks, path.basename(file)), { ...size, data: mask });
    }
    const { config } = resolveConfig([
      ...[...base, "algo.deg=inp", "algo.sigma_y=0", "algo.val_args.eta=1"],
      `likelihood.forward_op.mask_filename=${masks}`,
    ]);
    const request = { files, run, out: at("out"), samples: 2, config };
    const planned = await planInputs(request, {});
    const asked: number[] = [];
    const own = planned.masks;
    if (!own) throw new Error("no masks");
    const mask = (index: number) => {
      asked.push(index);
      return own.mask(index);
    };
    await restoreInputs(engine, request, { ...planned, masks: { ...own, mask } }, {});
    // The forecast of memory takes the first picture.
    expect(asked).toEqual([0, 0, 1]);
    for (const name of ["a", "b"]) {
      const [first, mean, deviation] = await Promise.all(
        ["", "_mean", "_std"].map((suffix) => bytesOf(at("out", `${name}${suffix}.png`))),
      );
      if (!first || !mean || !deviation) throw new Error("no pictures");
      expect(first.filter((v, i) => Math.abs(v - (mean[i] as number)) > 10).length).toBeGreaterThan(100);
      expect(deviation.filter((v) => v > 100).length).toBeGreaterThan(100);
    }
  });
});
