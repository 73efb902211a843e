// Which pictures, masks and classes the commands take: by seed, key and number.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { ownClass } from "../../src/cli/classes.ts";
import { comparedPictures } from "../../src/cli/compare-run.ts";
import { openData } from "../../src/cli/data.ts";
import { planEvaluation } from "../../src/cli/evaluate-inputs.ts";
import { planInputs } from "../../src/cli/restore-inputs.ts";
import { openSource } from "../../src/cli/sample-run.ts";
import { openTask } from "../../src/cli/task-files.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Config } from "../../src/deft/config/schema.ts";
import type { ImageDataset } from "../../src/deft/dataset.ts";
import { writePng } from "../../src/io/images.ts";
import { affine } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";
import { npy, packBits, writeNpz } from "../helpers/write-npz.ts";

const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);
const configOf = (...words: string[]): Config =>
  resolveConfig(["model=phantoms", "dataset=phantoms", "algo.deg=sr4", ...words]).config;

async function write(file: string, side = 8): Promise<string> {
  mkdirSync(path.dirname(file), { recursive: true });
  const data = new Float32Array(side * side);
  await writePng(file, { data, channels: 1, height: side, width: side });
  return file;
}

describe("held-out pictures", () => {
  const sampled = async (config: Config): Promise<ImageDataset> => {
    const { data, task } = await openSource(config);
    task.release();
    return data;
  };
  const compared = async (config: Config): Promise<ImageDataset> =>
    comparedPictures(config, (await openData(config)).validation);

  it.each([
    ["sample", sampled],
    ["compare", compared],
  ])("%s takes them as they lie, or mixed by the seed", async (_, pictures) => {
    const { validation } = await openData(configOf());
    const key = (p: Float32Array) => Buffer.from(p.buffer).toString("base64");
    const all = await Promise.all(Array.from({ length: validation.length }, (_, i) => validation.get(i)));
    const numbers = new Map(all.map((p, i) => [key(p), i]));
    const order = async (...words: string[]) => {
      const data = await pictures(configOf(...words));
      const own = await Promise.all(Array.from({ length: data.length }, (_, i) => data.get(i)));
      return own.map((p) => numbers.get(key(p)));
    };
    const natural = all.map((_, i) => i);
    expect(await order("loader.shuffle=false", "exp.seed=1")).toEqual(natural);
    const [one, again, two] = [
      await order("loader.shuffle=true", "exp.seed=1"),
      await order("loader.shuffle=true", "exp.seed=1"),
      await order("loader.shuffle=true", "exp.seed=2"),
    ];
    expect(again).toEqual(one);
    for (const mixed of [one, two]) {
      expect(mixed).not.toEqual(natural);
      expect([...mixed].sort((a, b) => Number(a) - Number(b))).toEqual(natural);
    }
    expect(two).not.toEqual(one);
  });
});

describe("classes", () => {
  it("of drawings from the prior are all that it knows, by the seed", async () => {
    const drawn = async (seed: number): Promise<(number | undefined)[]> => {
      const config = configOf(`exp.seed=${seed}`, "exp.smoke_test=20", "loader.batch_size=10");
      const { data, task } = await openSource({
        ...config,
        model: { ...config.model, class_cond: true, num_classes: 5 },
        sample: { ...config.sample, unconditional: true },
      });
      task.release();
      return Array.from({ length: data.length }, (_, i) => data.label?.(i));
    };
    const [one, again, two] = [await drawn(1), await drawn(1), await drawn(2)];
    expect(again).toEqual(one);
    expect(two).not.toEqual(one);
    // Of 200 drawings 40 a class; 15 is more than four standard deviations below.
    for (const c of [0, 1, 2, 3, 4])
      expect(one.filter((label) => label === c).length, `class ${c}`).toBeGreaterThan(15);
    expect(new Set(one).size).toBe(5);
  });

  it("of a user's own pictures are those of exp.classes in turn", async () => {
    const config = configOf("exp.classes=[3,5]");
    expect([0, 1, 2, 3].map((k) => ownClass(config, k))).toEqual([3, 5, 3, 5]);
    expect(ownClass(configOf(), 1)).toBe(null);
    const files = await Promise.all(["a", "b", "c"].map((name) => write(at("own", `${name}.png`))));
    const request = { files, run: at("run"), out: at("out"), samples: 1, config };
    const { inputs } = await planInputs(request, {});
    expect(inputs.map(({ label }) => label)).toEqual([3, 5, 3]);
  });

  it("of evaluated pictures are those given in turn, the run's by number, or the originals' folders", async () => {
    const planned = async (samples: string, against: string | null, classes: readonly number[] | null) => {
      const { rows } = await planEvaluation({ samples, against, classes });
      return [...rows].map(([row, pictures]) => [
        row,
        pictures.map(({ file, label }) => [path.basename(file), label]),
      ]);
    };
    const run = at("drawn");
    for (const number of ["00001", "00002", "00003"])
      for (const suffix of ["", "_mean", "_ori"])
        await write(path.join(run, "pictures", `${number}${suffix}.png`));
    writeFileSync(path.join(run, "config.yaml"), "");
    const names = (suffix: string, labels: (number | null)[]) =>
      labels.map((label, k) => [`0000${k + 1}${suffix}.png`, label]);
    expect(await planned(run, null, null)).toEqual([
      ["sample", names("", [null, null, null])],
      ["mean", names("_mean", [null, null, null])],
    ]);
    writeFileSync(path.join(run, "summary.json"), JSON.stringify({ classes: [6, 7, 8, 9] }));
    expect(await planned(run, null, null)).toEqual([
      ["sample", names("", [7, 8, 9])],
      ["mean", names("_mean", [7, 8, 9])],
    ]);
    expect(await planned(run, null, [4, 2])).toEqual([
      ["sample", names("", [4, 2, 4])],
      ["mean", names("_mean", [4, 2, 4])],
    ]);
    for (const root of ["made", "true"])
      for (const [name, count] of [
        ["ant", 1],
        ["bee", 2],
      ] as const)
        for (let i = 0; i < count; i++) await write(at(root, name, `${i}.png`));
    expect(await planned(at("made"), at("true"), null)).toEqual([
      [
        "samples",
        [
          ["0.png", 0],
          ["0.png", 1],
          ["1.png", 1],
        ],
      ],
    ]);
  });
});

describe("masks of a file", () => {
  it("are those of the key that is named", async () => {
    const engine = await testEngine();
    const side = 32;
    const bits = [1, 2].map((seed) => Array.from(randomArray(side * side, seed), (v) => Number(v > 0)));
    const [first, second] = bits as [number[], number[]];
    writeNpz(at("masks.npz"), {
      "20-30% freeform": npy([1, side, side / 8], packBits(first)),
      another: npy([1, side, side / 8], packBits(second)),
    });
    const keptBy = async (...words: string[]): Promise<number[]> => {
      const config = configOf(
        ...["algo.deg=inp", "algo.sigma_y=0", "likelihood.forward_op.mask=file"],
        ...[`likelihood.forward_op.mask_filename=${at("masks.npz")}`, ...words],
      );
      const task = await openTask(config, side, 1);
      const y = engine.scope(() => {
        const x = engine.tensor(new Float32Array(side * side).fill(0.5), [1, 1, side, side]);
        return affine(task.operator(engine, [0]).apply(x), 2, 0);
      });
      const values = await y.read();
      y.dispose();
      task.release();
      return [...values];
    };
    // A bit stands for a missing pixel.
    expect(await keptBy()).toEqual(first.map((bit) => 1 - bit));
    expect(await keptBy("likelihood.forward_op.mask_key=another")).toEqual(second.map((bit) => 1 - bit));
  });
});
