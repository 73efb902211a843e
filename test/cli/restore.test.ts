import { existsSync, mkdirSync, renameSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { restore } from "../../src/cli/commands/restore.ts";
import { planInputs, type RestoreRequest } from "../../src/cli/restore-inputs.ts";
import { restoreInputs } from "../../src/cli/restore-run.ts";
import { configToYaml, TRANSFORM } from "../../src/cli/run-folder.ts";
import { exportTransform } from "../../src/cli/run-results.ts";
import { setUpRun, withRunWeights } from "../../src/cli/train-setup.ts";
import { streamOf, streams } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Config } from "../../src/deft/config/schema.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { sampleDdim } from "../../src/deft/sample.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { readWhole, writePng } from "../../src/io/images.ts";
import { randomNormal, reshape } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { npy, packBits, writeNpz } from "../helpers/write-npz.ts";

const SIDE = 32;
const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);

const configOf = (...args: string[]): Config =>
  resolveConfig([
    "model=phantoms",
    "dataset=phantoms",
    "exp.num_steps=2",
    "loader.batch_size=2",
    "exp.overwrite=true",
    ...args,
  ]).config;

/** The folder of a run that was not trained long: config.yaml and a network as it starts, or none. */
async function writeRun(name: string, config: Config, isFinished = true): Promise<string> {
  const run = at(name);
  mkdirSync(run);
  writeFileSync(path.join(run, "config.yaml"), configToYaml(config));
  if (!isFinished) return run;
  const train = phantoms({ side: SIDE, length: 2 });
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  await withRunWeights(config, async (weights) => {
    const { fineTuning } = await setUpRun(await testEngine(), { config, task, train, ...weights });
    await exportTransform(path.join(run, TRANSFORM), fineTuning, false);
  });
  return run;
}

async function writePicture(
  name: string,
  width: number,
  height: number,
  channels: 1 | 3 = 1,
): Promise<string> {
  const file = at(name);
  await writePng(file, {
    data: randomArray(channels * width * height, width, -1, 1),
    channels,
    height,
    width,
  });
  return file;
}

let sr4 = "";
let inp = "";
const quiet = { ...configOf(), exp: { ...configOf().exp, overwrite: false } };
const request = (o: Partial<RestoreRequest>): RestoreRequest => ({
  ...{ files: [], run: sr4, out: at("out"), samples: 1, config: quiet },
  ...o,
});

beforeAll(async () => {
  vi.spyOn(console, "log").mockImplementation(() => undefined);
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
  sr4 = await writeRun("sr4-001", configOf());
  inp = await writeRun("inp-001", configOf("algo.deg=inp_box", "algo.sigma_y=0"));
});

describe("deft restore", () => {
  it("restores one tile as the sampler does, and larger pictures of odd sizes", async () => {
    const engine = await testEngine();
    const [one, large] = [await writePicture("one.png", 8, 8), await writePicture("large.png", 17, 11)];
    const o = request({ files: [one, large], samples: 2 });
    await restoreInputs(engine, o, await planInputs(o, {}), {});
    for (const suffix of ["", "_mean", "_std"]) {
      const { width, height, channels } = await readWhole(at("out", `large${suffix}.png`));
      expect([width, height, channels]).toEqual([68, 44, 1]);
    }
    const config = quiet;
    const task = makeTask(config, SIDE, 1, null);
    const y = engine.tensor(Float32Array.from((await readWhole(one)).data), [1, 1, 8, 8]);
    const train = phantoms({ side: SIDE, length: 2 });
    const { fineTuning, schedule } = await withRunWeights(config, (weights) =>
      setUpRun(engine, { config, task, train, ...weights }),
    );
    const draw = (purpose: number, step: number) => {
      const random = { seed: config.exp.seed, stream: streamOf(purpose, step * 64) };
      return engine.scope(() => reshape(randomNormal(engine, [SIDE, SIDE], random), [1, 1, SIDE, SIDE]));
    };
    const result = await sampleDdim({
      engine,
      schedule,
      ts: timesteps(1000, 0, 2),
      eta: config.algo.val_args.eta,
      predict: fineTuning.predict(task.operator(engine, [0]), y, false),
      start: draw(streams.start, 0),
      noise: (step) => draw(streams.sample, step),
    });
    const want = await result.read();
    const { data } = await readWhole(at("out", "one.png"));
    data.forEach((v, i) => expect(Math.abs(v - Math.min(1, Math.max(-1, want[i]!)))).toBeLessThan(1 / 127));
    await expect(planInputs(o, {})).rejects.toThrow(
      `--out: ${at("out", "one.png")} is there; pass exp.overwrite=true`,
    );
    await planInputs({ ...o, config: configOf() }, {});
  });

  it("in-paints with the mask of the picture, tile by tile", async () => {
    const engine = await testEngine();
    const [wide, mask] = [await writePicture("wide.png", 45, 33), at("mask.png")];
    const kept = randomArray(45 * 33, 5, -1, 1).map((v) => (v > 0 ? 1 : -1));
    await writePng(mask, { data: kept, channels: 1, height: 33, width: 45 });
    const config = configOf(
      ...["algo.deg=inp", `likelihood.forward_op.mask_filename=${mask}`, "algo.sigma_y=0"],
    );
    const o = request({ files: [wide], run: inp, config });
    const planned = await planInputs(o, {});
    const [input] = planned.inputs;
    expect(input?.plan.count).toBe(4);
    const share = (100 * kept.filter((v) => v === 1).length) / kept.length;
    expect(planned.maskLine).toBe(`mask: keeps ${Math.round(share)} % of the pixels`);
    // The second tile begins where the last one of a row has to.
    const second = planned.masks?.mask(1) as Float32Array;
    for (let y = 0; y < SIDE; y++)
      for (let x = 0; x < SIDE; x++) expect(second[y * SIDE + x]).toBe(kept[y * 45 + 13 + x] === 1 ? 1 : 0);
    const y = await input!.read();
    expect(y.data.every((v, i) => kept[i] === 1 || v === 0)).toBe(true);
    // Noise of the task is in the holes too, as in training, and nowhere else; the same at each reading.
    const noisy = { ...o, config: { ...config, algo: { ...config.algo, sigma_y: 0.1 } } };
    const [behind] = (await planInputs(noisy, {})).inputs;
    const [n1, n2] = [await behind!.read(), await behind!.read()];
    expect(n1.data).toEqual(n2.data);
    const holes = [...n1.data].filter((_, i) => kept[i] !== 1);
    expect([...n1.data].every((v, i) => kept[i] !== 1 || v === y.data[i])).toBe(true);
    const deviation = Math.sqrt(holes.reduce((sum, v) => sum + v * v, 0) / holes.length);
    expect(Math.abs(deviation - 0.1)).toBeLessThan(0.1 * (4 / Math.sqrt(2 * holes.length)));
    await restoreInputs(engine, o, planned, {});
    expect(existsSync(at("out", "wide_mean.png"))).toBe(false);
    expect((await readWhole(at("out", "wide.png"))).width).toBe(45);
    const other = { ...o, files: [await writePicture("other.png", 40, 33)] };
    await expect(planInputs(other, {})).rejects.toThrow("a mask of 45x33; expected 40x33, that of");
  });

  it("in-paints behind a blur that makes the picture smaller: masks are as large as the measurement", async () => {
    const kernel = { values: new Array<number>(25).fill(1 / 25), height: 5, width: 5 };
    const [file, mask] = [await writePicture("blurred.png", 40, 30), at("valid.png")];
    await writePng(mask, { data: randomArray(1200, 5, -1, 1), channels: 1, height: 30, width: 40 });
    const config = configOf(
      ...["algo.deg=blur-inp", "likelihood.forward_op.padding=valid", "algo.sigma_y=0"],
      ...[`likelihood.forward_op.kernel_filename=k.npy`, `likelihood.forward_op.mask_filename=${mask}`],
    );
    const planned = await planInputs(request({ files: [file], run: inp, config }), { kernel });
    expect(planned.inputs[0]?.plan).toMatchObject({ width: 44, height: 34 });
    expect([planned.masks?.height, planned.masks?.width]).toEqual([SIDE - 4, SIDE - 4]);
    expect(planned.masks?.mask(1)).toHaveLength((SIDE - 4) ** 2);
  });

  it("takes a folder of masks by name, or an .npz of them in the order of the pictures", async () => {
    const files = [await writePicture("first.png", 40, 40), await writePicture("second.png", 40, 40)];
    const bits = [3, 4].map((seed) => Array.from(randomArray(1600, seed, -1, 1), (v) => Number(v > 0)));
    const planned = (source: string, own = files) =>
      planInputs(
        request({
          files: own,
          run: inp,
          config: configOf("algo.deg=inp", `likelihood.forward_op.mask_filename=${source}`),
        }),
        {},
      );
    /** What the masks keep at the corner of each picture: 1 where the bit, which stands for missing, is 0. */
    const expectKept = async (source: string, order: readonly number[]) => {
      const { inputs, masks, maskLine } = await planned(source);
      expect(maskLine).toMatch(
        order[0] === order[1] ? /^mask: keeps 50/ : /^masks: 2, the first keeps \d+ % of the pixels$/,
      );
      for (const [k, { first }] of inputs.entries()) {
        const mask = masks?.mask(first) as Float32Array;
        for (let y = 0; y < SIDE; y++)
          for (let x = 0; x < SIDE; x++)
            expect(mask[y * SIDE + x]).toBe(1 - (bits[order[k] as number]?.[y * 40 + x] as number));
      }
    };
    mkdirSync(at("masks"));
    for (const [k, name] of ["second", "first", "of another"].entries())
      await writePng(at("masks", `${name}.png`), {
        data: Float32Array.from(bits[k % 2] as number[], (bit) => 1 - 2 * bit),
        channels: 1,
        ...{ height: 40, width: 40 },
      });
    await expectKept(at("masks"), [1, 0]);
    writeNpz(at("masks.npz"), { "20-30% freeform": npy([2, 40, 5], packBits(bits.flat())) });
    await expectKept(at("masks.npz"), [0, 1]);
    writeNpz(at("one.npz"), { "20-30% freeform": npy([1, 40, 5], packBits(bits[0] as number[])) });
    await expectKept(at("one.npz"), [0, 0]);
    const other = await writePicture("other-name.png", 40, 40);
    await expect(planned(at("masks"), [other])).rejects.toThrow(
      `holds no mask for ${other}; expected other-name.png in it`,
    );
    await expect(planned(at("masks.npz"), [...files, other])).rejects.toThrow(
      "holds 2 masks; expected one, or one for each of the 3 pictures",
    );
    await writePng(at("masks", "first.jpg.png"), {
      data: new Float32Array(1),
      channels: 1,
      height: 1,
      width: 1,
    });
    renameSync(at("masks", "first.jpg.png"), at("masks", "first.webp"));
    await expect(planned(at("masks"))).rejects.toThrow("holds first.png and first.webp for");
  });

  it("refuses, before it looks for a GPU, what cannot be restored", async () => {
    const small = await writePicture("small.png", 7, 9);
    const [grey, colour] = [await writePicture("grey.png", 8, 8), await writePicture("colour.png", 8, 8, 3)];
    const fails = (words: string[], message: string) => expect(restore(words)).rejects.toThrow(message);
    const out = ["--out", at("new")];
    const to = ["--checkpoint", sr4, ...out];
    await fails([small, ...to], `${small}: a picture of 7x9; expected 8x8 or more`);
    await fails([colour, ...to], `${colour}: a picture in colour; expected a grey one`);
    await fails([grey, ...to, "--task", "inp"], `--task: ${sr4} was trained for sr4; got inp; leave --task`);
    await fails([grey, ...to, "algo.deg=sr2"], `algo.deg: ${sr4} was trained for sr4; got sr2; leave algo`);
    await fails([grey, ...to, "numsamples=2"], "nearest is num_samples; all: deft restore --help");
    await fails(
      [grey, ...to, "--num_samples=2"],
      "--num_samples: no such flag; expected KEY=VALUE, --checkpoint, --out, --task, --adapter, --dry-run, --help; nearest is num_samples; all: deft restore --help",
    );
    await fails([grey, ...to, "algo.sigma_y=0.2"], "algo.sigma_y: the trained run decides on it");
    await fails([grey, ...to, "num_samples=0"], "num_samples");
    await fails([grey, ...to, "likelihood.forward_op.mask_filename=m.png"], "not used with algo.deg=sr4");
    await fails(
      [grey, "--checkpoint", sr4, "--out", folder, "exp.overwrite=true"],
      "is one of the pictures to restore",
    );
    await fails([grey, "--checkpoint", sr4, "--out", path.join(small, "new")], `--out: ${small} is a file`);
    symlinkSync(at("nowhere"), at("dangling"));
    await fails(
      [grey, "--checkpoint", sr4, "--out", at("dangling", "new")],
      `--out: ${at("dangling")} is a link to nothing`,
    );
    mkdirSync(at("full", "grey.png"), { recursive: true });
    await fails(
      [grey, "--checkpoint", sr4, "--out", at("full"), "exp.overwrite=true"],
      "grey.png is a folder",
    );
    await fails([grey, ...out], "--checkpoint: not given");
    await fails([grey, "--checkpoint", sr4], "--out: not given");
    await fails([...to], "no pictures given");
    await fails([at("no.png"), ...to], `${at("no.png")}: no such file; expected the path of a picture`);
    await fails([folder, ...to], `${folder}: a folder; expected a picture; pass the files in it, such as`);
    await fails([path.join(sr4, "config.yaml"), ...to], "config.yaml: not a picture; expected png, jpg");
    await fails([grey, "--checkpoint", folder, ...out], "holds no config.yaml");
    await fails([grey, "--checkpoint", inp, ...out], "mask_filename: not given");
    mkdirSync(at("twice"));
    const twin = await writePicture(path.join("twice", "grey.jpg.png"), 8, 8);
    await fails([grey, twin.replace("grey.jpg", "none"), ...to], "no such file");
    await fails(
      [grey, await writePicture(path.join("twice", "grey.png"), 8, 8), ...to],
      "too; restore them into two",
    );
  });

  it("refuses runs of tasks that no picture can be restored of, or that are not finished", async () => {
    const grey = await writePicture("plain.png", 45, 64);
    const refused = async (name: string, deg: string, isFinished: boolean, message: string) => {
      const run = await writeRun(name, configOf(`algo.deg=${deg}`), isFinished);
      await expect(restore([grey, "--checkpoint", run, "--out", at("new")])).rejects.toThrow(message);
    };
    await refused("ct-001", "ct", true, "what ct measures is no picture");
    await refused("ct-002", "ct", false, "go on with it by deft train --resume exp.name=ct-002");
    await refused("jpeg20-001", "jpeg20", true, "a picture of 45x64; expected sides of 32, 40, 48, …");
  });
});
