// The recorded numbers of this folder through the public API: nothing outside its tolerance.
import { describe, expect, it } from "vitest";
import { testEngine } from "../helpers/engine.ts";
import { difference } from "./runner/compare.ts";
import { halfErrors } from "./runner/half.ts";
import { openFolder } from "./runner/manifest.ts";
import { comparesNothing, runFolder } from "./runner/run.ts";

/** Kinds of the folder that the library does not have yet. */
const notYet: string[] = [];

describe("recorded numbers", () => {
  it("are met by every supported entry", async () => {
    const engine = await testEngine();
    const before = engine.device.pool.stats.live;
    const report = await runFolder(engine, await openFolder(import.meta.dirname));
    expect(report.outside).toEqual([]);
    expect([...report.unsupportedKinds.keys()].sort()).toEqual(notYet);
    expect(report.within).toBeGreaterThan(100);
    expect(report.uncompared).toEqual([]);
    await engine.device.queue.idle();
    expect(engine.device.pool.stats.live - before, "live bytes afterwards").toBe(0);
  });
});

describe.skipIf(!(await testEngine()).device.half)("priors in float16", () => {
  it("differ from the recorded ε by what eleven bits allow", async () => {
    const errors = await halfErrors(await testEngine(), await openFolder(import.meta.dirname));
    expect(errors.length).toBeGreaterThan(1);
    // A torso of some ten blocks rounds each value some forty times by 2^-12.
    for (const { id, error } of errors) expect(error, id).toBeLessThan(2e-3);
  });
});

it("entries of which no output is compared are named, those with one are not", () => {
  const skipped = { name: "x", dtype: "F32", shape: [1], compare: "skip" as const };
  const entry = { id: "a", group: "g", kind: "k", file: "f", config: {}, outputs: [skipped, skipped] };
  expect(comparesNothing(entry)).toBe(true);
  expect(comparesNothing({ ...entry, outputs: [skipped, { ...skipped, compare: "zero" }] })).toBe(false);
});

describe("comparison", () => {
  const tolerance = { max_abs: 0.01, rel_l2: 0.001 };
  const want = [3, 4, 0];

  it("passes within both bounds and names the one that is passed", () => {
    expect(difference([3.003, 4, 0], want, { tolerance })).toBeUndefined();
    expect(difference([3, 4.02, 0], want, { tolerance })).toContain("max abs 0.0200 > 0.0100");
    expect(difference([3.008, 4, 0], want, { tolerance })).toBe("relative l2 0.00160 > 0.00100");
    expect(difference([NaN, 4, 0], want, { tolerance })).toContain("max abs Infinity");
    expect(difference([3, 4], want, { tolerance })).toBe("2 values; expected 3");
  });

  it("leaves out ignored values and whole outputs that are skipped", () => {
    expect(difference([3, 9, 0], want, { tolerance, ignore_indices: [1] })).toBeUndefined();
    expect(difference([], want, { tolerance, compare: "skip" })).toBeUndefined();
  });

  it("compares exactly and against zero", () => {
    expect(difference(want, want, { tolerance, compare: "exact" })).toBeUndefined();
    expect(difference([3, 4, 1e-9], want, { tolerance, compare: "exact" })).toContain("1 of 3 values differ");
    expect(difference([0.009, 0, 0], want, { tolerance, compare: "zero" })).toBeUndefined();
    expect(difference([0.011, 0, 0], want, { tolerance, compare: "zero" })).toContain("max abs");
  });

  it("allows the outliers of the tolerance and not one more", () => {
    const loose = { max_abs: 10, rel_l2: 10, outlier_abs: 0.1, outlier_fraction: 0.002 };
    expect(difference([4, 4, 0], want, { tolerance: loose })).toBeUndefined();
    expect(difference([4, 5, 0], want, { tolerance: loose })).toContain(
      "2 values off by more than 0.100, 1 may",
    );
  });
});
