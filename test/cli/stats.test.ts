import { appendFileSync, existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { appendStats, cutBack, readStats } from "../../src/cli/stats.ts";
import type { StatsRow } from "../../src/cli/stats.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const row = (step: number): StatsRow => ({
  step,
  epoch: Math.floor(step / 4),
  loss: 100 / step,
  lr: 1e-3,
  images_per_s: 30.5,
  gpu_live_bytes: 1024,
  gpu_peak_bytes: 4096,
  heap_bytes: 1e7,
  time_s: step / 2,
});

describe("stats.jsonl", () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = temporaryFolder();
    file = path.join(folder, "stats.jsonl");
  });

  it("reads back the rows that were appended, one a line", () => {
    for (const step of [1, 2, 3]) appendStats(file, row(step));
    expect(readFileSync(file, "utf8").split("\n")).toHaveLength(4);
    expect(readStats(file)).toEqual([row(1), row(2), row(3)]);
  });

  it("keeps a loss that is not finite readable", () => {
    appendStats(file, { ...row(1), loss: Infinity });
    expect(readStats(file)[0]!.loss).toBeNaN();
  });

  it("cuts back to the checkpoint, torn line included, and goes on without a step twice", async () => {
    for (const step of [1, 2, 3, 4, 5]) appendStats(file, row(step));
    appendFileSync(file, '{"step":6,"epo');
    expect(readStats(file)).toHaveLength(5);
    expect(await cutBack(file, 3)).toBe(3);
    appendStats(file, row(4));
    expect(readStats(file).map((r) => r.step)).toEqual([1, 2, 3, 4]);
    expect(readdirSync(folder)).toEqual(["stats.jsonl"]);
  });

  it("takes a last row without its line break as torn", async () => {
    appendStats(file, row(1));
    appendFileSync(file, JSON.stringify(row(2)));
    expect(await cutBack(file, 9)).toBe(1);
    expect(readFileSync(file, "utf8")).toBe(`${JSON.stringify(row(1))}\n`);
  });

  it("removes a torn line that stands alone", async () => {
    writeFileSync(file, '{"st');
    expect(await cutBack(file, 9)).toBe(0);
    expect(readFileSync(file, "utf8")).toBe("");
  });

  it("has no rows where there is no file, and makes none", async () => {
    expect(readStats(file)).toEqual([]);
    expect(await cutBack(file, 3)).toBe(0);
    expect(existsSync(file)).toBe(false);
  });

  it("names the line that is not a row", async () => {
    appendStats(file, row(1));
    appendFileSync(file, "hello\n");
    expect(() => readStats(file)).toThrow(/stats\.jsonl: line 2 is not a row of statistics; got "hello"/);
    writeFileSync(file, "null\n");
    await expect(cutBack(file, 1)).rejects.toThrow(/line 1 is not a row/);
  });
});
