import { describe, expect, test } from "vitest";
import { cases, chosenCases, flopsOf, growth } from "../../bench/cases.mjs";
import { bySide, chart, growthPage } from "../../bench/growth.mjs";

const results = Object.fromEntries(
  [...growth.sides, ...growth.batches].map(({ name, side, batch }) => [
    name,
    { ms: (batch * side * side) / 100, peak_bytes: batch * 2 ** 20 },
  ]),
);

describe("growth", () => {
  test("its cases run only when asked for", () => {
    expect(chosenCases("growth").length).toBe(growth.sides.length + growth.batches.length);
    expect(chosenCases(undefined).some((name: string) => cases[name].group === "growth")).toBe(false);
  });

  test("operations follow the batch, and the side squared at least", () => {
    const of = (name: string): number => flopsOf(cases[name]) ?? NaN;
    expect(of("prior_batch8")).toBeCloseTo(8 * of("prior_batch1"), 0);
    // The embedding's layers do not grow with the picture, and attention keeps to small sides.
    expect(of("prior_side64") / of("prior_side32")).toBeGreaterThan(3.5);
    expect(of("prior_side64") / of("prior_side32")).toBeLessThan(4.5);
  });

  test("both curves meet at the first side, the chart holds them, the page the tables", () => {
    const points = bySide(results);
    expect(points[0]).toMatchObject({ side: 32, ms: 10.24, expected: 10.24 });
    expect(chart(points).match(/<polyline/g)?.length).toBe(2);
    expect(chart(points)).not.toMatch(/NaN|Infinity|undefined/);
    const run = { adapter: "Card A", commit: "abc1234", date: "2026-01-02T03:04:05Z", cases: results };
    const text = growthPage("# Performance\n", run, "images/growth.svg");
    expect(text).toContain("## Growth on Card A");
    expect(text).toContain("![Time and operations against the side](images/growth.svg)");
    expect(text).toMatch(/^\| 64 \| 10\.2 \| 64 \|$/m);
    expect(growthPage(text, run, "images/growth.svg")).toBe(text);
  });
});
