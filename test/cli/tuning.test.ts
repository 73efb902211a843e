// Which tuning table a run takes, and what a resumed one does.
import { existsSync, mkdirSync, readdirSync, rmSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { recordTuning, resumedTuning, saveMeasured, shippedTuning, tuningOf } from "../../src/cli/tuning.ts";
import { readTuning, writeTuning } from "../../src/io/tuning.ts";
import { checkChoices } from "../../src/tensor/index.ts";
import type { Device } from "../../src/gpu/device.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const ADAPTER = "an adapter of a test, driver 1.0";
const run = path.join(folder, "run");
const put = async (name: string, adapter: string, variants: Record<string, string>) => {
  const source = path.join(folder, name);
  await writeTuning({ source, adapter, variants: new Map(Object.entries(variants)) });
  return source;
};
const choices = async (table: ReturnType<typeof tuningOf>) => Object.fromEntries((await table).variants);

beforeEach(() => {
  vi.stubEnv("DEFT_TUNING", "");
  mkdirSync(run, { recursive: true });
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(run, { recursive: true });
});

describe("a run takes", () => {
  it("no table where none is shipped for its adapter", async () => {
    expect(shippedTuning(ADAPTER)).toMatch(/assets.tuning.an-adapter-of-a-test-driver-1\.0\.json$/);
    expect(existsSync(shippedTuning(ADAPTER))).toBe(false);
    expect(await choices(tuningOf(ADAPTER))).toEqual({});
  });
  it("that of DEFT_TUNING, if it is of its adapter", async () => {
    vi.stubEnv("DEFT_TUNING", await put("own.json", ADAPTER, { adam: "base" }));
    expect(await choices(tuningOf(ADAPTER))).toEqual({ adam: "base" });
    await expect(tuningOf("another")).rejects.toThrow(
      /^DEFT_TUNING: .*own\.json is of another adapter; got an adapter of a test, driver 1\.0; expected another; [^\n]*$/,
    );
    vi.stubEnv("DEFT_TUNING", path.join(folder, "absent.json"));
    await expect(tuningOf(ADAPTER)).rejects.toThrow(UserError);
    vi.stubEnv("DEFT_TUNING", "none");
    expect(await choices(tuningOf(ADAPTER))).toEqual({});
  });
});

describe("a resumed run takes", () => {
  it("the table that it was begun with", async () => {
    await recordTuning(run, { source: "", adapter: ADAPTER, variants: new Map([["adam", "run"]]) });
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({ adam: "run" });
    expect((await resumedTuning(ADAPTER, run)).source).toBe(path.join(run, "tuning.json"));
  });
  it("none if it had none", async () => {
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({});
    await recordTuning(run, await tuningOf(ADAPTER));
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({});
  });
  it("none of DEFT_TUNING that differs", async () => {
    await recordTuning(run, { source: "", adapter: ADAPTER, variants: new Map([["adam", "run"]]) });
    vi.stubEnv("DEFT_TUNING", await put("same.json", ADAPTER, { adam: "run" }));
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({ adam: "run" });
    const others: Record<string, string>[] = [{ adam: "base" }, { adam: "run", "reduce 1x2x3": "base" }, {}];
    for (const other of others) {
      vi.stubEnv("DEFT_TUNING", await put("other.json", ADAPTER, other));
      await expect(resumedTuning(ADAPTER, run)).rejects.toThrow(
        /^DEFT_TUNING: the run in .*run was begun with other kernels, [^\n]*unset DEFT_TUNING[^\n]*$/,
      );
    }
  });
  it("that of its adapter, on another one than before", async () => {
    await recordTuning(run, {
      source: "",
      adapter: "the adapter before",
      variants: new Map([["adam", "run"]]),
    });
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({});
    vi.stubEnv("DEFT_TUNING", await put("own.json", ADAPTER, { adam: "base" }));
    expect(await choices(resumedTuning(ADAPTER, run))).toEqual({ adam: "base" });
  });
});

it("what was measured is merged into the table of the adapter alone", async () => {
  const file = path.join(folder, "measured.json");
  await saveMeasured(ADAPTER, new Map([["adam", "base"], ["reduce 1x2x3", null]]), file); // prettier-ignore
  const after = await saveMeasured(ADAPTER, new Map([["reduce 1x2x3", "base"]]), file);
  expect(await readTuning(file)).toEqual(after);
  expect(Object.fromEntries(after.variants)).toEqual({ adam: "base", "reduce 1x2x3": "base" });
  await expect(saveMeasured("another", new Map([["adam", null]]), file)).rejects.toThrow(
    /^.*measured\.json: is of another adapter; got an adapter of a test, [^\n]*name another file$/,
  );
  expect(await readTuning(file)).toEqual(after);
});

it("shipped tables are named after their adapters and ask for what there is", async () => {
  const shipped = path.dirname(shippedTuning(""));
  const files = existsSync(shipped) ? readdirSync(shipped).filter((name) => name.endsWith(".json")) : [];
  for (const name of files) {
    const tuning = await readTuning(path.join(shipped, name));
    expect(shippedTuning(tuning.adapter)).toBe(path.join(shipped, name));
    checkChoices({ kernels: "", tuning, cache: new Map() } as unknown as Device);
  }
});
