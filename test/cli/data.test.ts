// Which pictures a run trains on and which it holds out: never the same.
import { mkdirSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { openData, openHeldOut } from "../../src/cli/data.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { ImageDataset } from "../../src/deft/dataset.ts";
import { writePng } from "../../src/io/images.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const SIDE = 4;

const bits = async (data: ImageDataset): Promise<Set<string>> => {
  const all = new Set<string>();
  for (let i = 0; i < data.length; i++) all.add(Buffer.from((await data.get(i)).buffer).toString("base64"));
  return all;
};

/** A folder of grey pictures, each of one level. */
async function writeLevels(name: string, levels: readonly number[]): Promise<string> {
  const own = path.join(folder, name);
  mkdirSync(own);
  for (const [k, level] of levels.entries())
    await writePng(path.join(own, `${String(k).padStart(3, "0")}.png`), {
      data: new Float32Array(SIDE * SIDE).fill(level / 127.5 - 1),
      ...{ channels: 1, height: SIDE, width: SIDE },
    });
  return own;
}

const configOf = (...words: string[]) => {
  const { config } = resolveConfig(["model=phantoms", ...words]);
  return { ...config, dataset: { ...config.dataset, image_size: SIDE } };
};

/** The level of each picture. */
const levelsOf = async ({ length, get }: ImageDataset): Promise<number[]> => {
  const pictures = await Promise.all(Array.from({ length }, (_, i) => get(i)));
  return pictures.map((p) => Math.round(((p[0] as number) + 1) * 127.5));
};

describe("openData", () => {
  it("holds phantoms out that are not trained on", async () => {
    const { train, validation } = await openData(configOf("dataset=phantoms"));
    expect([train.length, validation.length]).toEqual([10_000, 100]);
    const [trained, held] = [await bits(train), await bits(validation)];
    expect(held.size).toBe(100);
    for (const picture of held) expect(trained.has(picture)).toBe(false);
  });

  it("holds every tenth picture of a small folder out", async () => {
    const levels = Array.from({ length: 25 }, (_, i) => 10 * i);
    const root = await writeLevels("small", levels);
    const { train, validation } = await openData(configOf("dataset=phantoms", ...named(root)));
    expect(await levelsOf(validation)).toEqual([0, 100, 200]);
    expect(await levelsOf(train)).toEqual(levels.filter((level) => level % 100 !== 0));
  });

  it("trains on all pictures of finetune_dataset, and holds out all of the data set", async () => {
    const [first, second] = [
      [1, 2, 3, 4, 5],
      [101, 102, 103, 104],
    ];
    const root = await writeLevels("first", first);
    const other = await writeLevels("second", second);
    const config = configOf("dataset=phantoms", ...named(root), `finetune_dataset.root=${other}`);
    const { train, validation } = await openData(config);
    expect(await levelsOf(validation)).toEqual(first);
    expect(await levelsOf(train)).toEqual(second);
    expect(await levelsOf(await openHeldOut(config))).toEqual(first);
    // The same folder once more is split as one.
    const same = await openData(
      configOf(
        "dataset=phantoms",
        ...named(root),
        `finetune_dataset.root=${root}`,
        "finetune_dataset.name=folder",
      ),
    );
    expect([await levelsOf(same.train), await levelsOf(same.validation)]).toEqual([[2, 3, 4, 5], [1]]);
  });
});

const named = (root: string): string[] => ["dataset.name=folder", `dataset.root=${root}`];
