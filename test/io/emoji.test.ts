import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { openData } from "../../src/cli/data.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { baseSymbol, openEmoji, splitSymbols } from "../../src/io/emoji.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const manifest = createRequire(import.meta.url).resolve("@lobehub/fluent-emoji-3d/package.json");
const names = readdirSync(path.join(path.dirname(manifest), "assets")).map((file) => file.slice(0, -5));

describe("splitSymbols", () => {
  const train = splitSymbols(names, "train");
  const test = splitSymbols(names, "test");

  it("puts each picture into one split", () => {
    expect(names.length).toBe(3391);
    expect(new Set([...train, ...test]).size).toBe(names.length);
    expect(train.length + test.length).toBe(names.length);
    expect(test.length / names.length).toBeGreaterThan(0.08);
    expect(test.length / names.length).toBeLessThan(0.12);
  });

  it("keeps every variant of a symbol on one side", () => {
    const firstCodePoints = (list: string[]): Set<string> =>
      new Set(list.filter((name) => /200d|1f3f[b-f]/.test(name)).map((name) => name.split("-")[0]!));
    const inTest = firstCodePoints(test);
    expect(inTest.size).toBeGreaterThan(5);
    for (const symbol of firstCodePoints(train)) expect(inTest.has(symbol)).toBe(false);
    for (const symbol of inTest) expect(train).not.toContain(symbol);
  });

  it("opens the test split with single symbols", () => {
    for (const name of test.slice(0, 48)) expect(name).toMatch(/^1f[0-9a-f]{3}(-fe0f)?$/);
  });
});

it("baseSymbol drops tones, selectors and what is joined", () => {
  expect(baseSymbol("1f44d-1f3fd")).toBe("1f44d");
  expect(baseSymbol("26f9-fe0f")).toBe("26f9");
  expect(baseSymbol("1f3cb-1f3fe-200d-2640-fe0f")).toBe("1f3cb");
  expect(baseSymbol("1f469-1f3fb-200d-1f692")).toBe(baseSymbol("1f468-200d-1f680"));
  expect(baseSymbol("1f1e9-1f1ea")).toBe("1f1e9-1f1ea");
});

describe("openEmoji", () => {
  beforeAll(() => {
    process.env.XDG_CACHE_HOME = temporaryFolder();
    return () => delete process.env.XDG_CACHE_HOME;
  });

  it("gives the same picture each time, decoded or from the cache", async () => {
    const decoded = await openEmoji({ side: 8, split: "test" });
    const started = performance.now();
    const cached = await openEmoji({ side: 8, split: "test" });
    expect(performance.now() - started).toBeLessThan(2000);
    for (const i of [0, 7, decoded.length - 1]) expect(await cached.get(i)).toEqual(await decoded.get(i));
    const picture = await decoded.get(0);
    expect(picture.length).toBe(3 * 8 * 8);
    for (const value of picture) expect(Math.abs(value)).toBeLessThanOrEqual(1);
    await expect(async () => decoded.get(decoded.length)).rejects.toThrow(RangeError);
  });

  it("serves a run with symbols to validate that it does not train on", async () => {
    const { config } = resolveConfig(["dataset=embedded", "exp.seed=0"]);
    const { train, validation } = await openData({
      ...config,
      dataset: { ...config.dataset, image_size: 8 },
    });
    const test = await openEmoji({ side: 8, split: "test" });
    expect(validation.length).toBe(test.length);
    const bits = (p: Float32Array): string => Buffer.from(p.buffer).toString("base64");
    const trained = new Set<string>();
    // Of each symbol its first background, the one that the same symbol would have among the held-out pictures.
    for (let i = 0; i < train.length / (train.versions ?? 1); i++) trained.add(bits(await train.get(i)));
    for (let i = 0; i < validation.length; i++) {
      const picture = await validation.get(i);
      expect(picture).toEqual(await test.get(i));
      expect(trained.has(bits(picture))).toBe(false);
    }
  });

  it("varies colour and mirroring by version, and the colour by seed", async () => {
    const plain = await openEmoji({ side: 8, split: "test", background: [255, 0, 0] });
    const versions = await openEmoji({
      side: 8,
      split: "test",
      background: [255, 0, 0],
      versions: 8,
      flip: true,
    });
    expect(versions.length).toBe(8 * plain.length);
    const mirror = (p: Float32Array): Float32Array => p.map((_, i) => p[i - (i % 8) + 7 - (i % 8)]!);
    const original = await plain.get(0);
    const seen = { same: 0, mirrored: 0 };
    for (let version = 0; version < 8; version++) {
      const picture = await versions.get(version * plain.length);
      if (Buffer.compare(Buffer.from(picture.buffer), Buffer.from(original.buffer)) === 0) seen.same++;
      else expect(picture).toEqual((seen.mirrored++, mirror(original)));
    }
    expect(seen.same).toBeGreaterThan(0);
    expect(seen.mirrored).toBeGreaterThan(0);
    const [a, b] = await Promise.all([0, 1].map((seed) => openEmoji({ side: 8, split: "test", seed })));
    expect(await a!.get(0)).not.toEqual(await b!.get(0));
  });
});
