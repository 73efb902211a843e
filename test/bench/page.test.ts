import { describe, expect, test } from "vitest";
import { page } from "../../bench/page.mjs";

const result = (device: string, ours: number) => ({
  device,
  rows: [
    {
      name: "unet_step",
      ours: { ms: ours, first_ms: 900 },
      peers: { fast: { ms: 40, first_ms: 3000 }, inference: { ms: null, why: "" } },
    },
    {
      name: "conv",
      ours: { ms: ours, first_ms: 1 },
      peers: { fast: { ms: null, why: "fails" }, inference: { ms: 160 } },
    },
  ],
  inexact: ours > 25 ? [{ name: "conv", engine: "inference", error: 0.0012 }] : [],
  others: ["fast", "inference"],
  versions: ["fast 1.2.3"],
  commit: "abc1234",
  date: "2026-01-02T03:04:05Z",
  rounds: 3,
});

describe("docs/performance.md", () => {
  const intro = "# Performance\n\nHow it is measured.\n";
  const one = page(intro, result("Card A", 20));

  test("a section names adapter, commit and versions, and holds the ratios to the best engine", () => {
    expect(one.startsWith(intro)).toBe(true);
    expect(one).toContain("## Beside other engines on Card A");
    expect(one).toContain("Commit abc1234, 2026-01-02");
    expect(one).toContain("fast 1.2.3");
    expect(one).toContain("| `unet_step` | 20 | 40 |  | 0.50 |");
    expect(one).toContain("| `conv` | 20 | fails | 160 | 0.13 |");
    expect(one).toContain("Geometric mean of ours ÷ best: 0.250.");
    expect(one).toContain("| `unet_step` | 900 | 3000 |  | 0.30 |");
  });
  test("another adapter gets a section of its own, the same one its old place", () => {
    const notes = "## Cost against side\n\nMore text.";
    const two = page(`${page(one, result("Card B", 10))}\n${notes}\n`, result("Card A", 30));
    expect(two.match(/^## .*/gm)).toEqual([
      "## Beside other engines on Card A",
      "## Beside other engines on Card B",
      "## Cost against side",
    ]);
    expect(two).toContain("| `unet_step` | 30 | 40 |");
    expect(two).not.toContain("| `unet_step` | 20 |");
    expect(two).toContain("More text.");
    expect(one).not.toContain("miss the reference");
    expect(two).toContain("Outputs that miss the reference: `conv` of inference by 0.0012 of their norm.");
  });
});
