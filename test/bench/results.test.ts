import { describe, expect, test } from "vitest";
import { grids, methods, ranked, rounds, wordsOf } from "../../bench/results-grid.mjs";
import { page } from "../../bench/results-page.mjs";
import { experimentPresets } from "../../src/deft/config/experiments.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";

describe("what is tried", () => {
  test("every experiment has settings of every method that the configuration takes", () => {
    expect(Object.keys(grids).sort()).toEqual(Object.keys(experimentPresets).sort());
    for (const [task, settings] of Object.entries(grids as Record<string, Record<string, object[]>>)) {
      expect(Object.keys(settings).sort()).toEqual([...methods].sort());
      for (const [method, list] of Object.entries(settings))
        for (const setting of list)
          expect(() => resolveConfig([`experiment=${task}`, ...wordsOf(method, setting)])).not.toThrow();
    }
  });

  test("rounds try every setting once, and the best by PSNR goes first", () => {
    expect(rounds({ a: [1, 2], b: [3] })).toEqual([{ a: 1, b: 3 }, { a: 2 }]);
    const tries = [NaN, 20, 22].map((psnr, steps) => ({ method: "dps", steps, psnr }));
    expect(
      ranked([...tries, { method: "pgdm", steps: 9, psnr: 30 }], "dps").map(
        (t: { steps: number }) => t.steps,
      ),
    ).toEqual([2, 1, 0]);
  });
});

describe("docs/results.md", () => {
  const row = (name: string, psnr: number, seconds: number, steps = 20) => ({
    ...{ name, steps, seconds, samples: name === "identity" ? 1 : 2, options: {}, bytes: 2 ** 20 },
    calls: { prior: name === "identity" ? 0 : steps, own: name === "deft" ? steps : 0 },
    sample: { psnr, ssim: 0.5, consistency: 30 },
    ...(name === "identity" ? {} : { mean: { psnr: psnr + 1, ssim: 0.6, consistency: 31 } }),
  });
  const result = (task: string, deft: number, dps: number) => ({
    ...{ task, commit: "abc1234", date: "2026-01-02T03:04:05Z", node: "v20", seed: 0 },
    ...{ adapter: { name: "Card A" }, sigma_y: 0.1, pictures: 8, tune: 6, steps: 20 },
    training: { steps: 250, batch: 4, seconds: 100, parameters: { prior: 100, htransform: 10 } },
    tries: [{ method: "dps", setting: { grad_term_weight: 3 }, steps: 20, psnr: NaN }],
    left_out: { ddrm: "no singular value decomposition" },
    timing: [1, 2, 3].map((k) => ({ deft: k, dps: 2 * k, pgdm: 3 * k })),
    equal: [row("identity", 18, 0), row("deft", deft, 0.1), row("dps", dps, 0.2), row("pgdm", NaN, 0.3)],
    best: [row("identity", 18, 0), row("deft", deft, 0.1), row("dps", dps + 1, 0.5, 50)],
  });
  const text = page([result("sr4", 22, 20), result("ct", 17, 20.25)]);

  test("says where DEFT wins, where not, and what the ratio of times is", () => {
    expect(text).toContain("At equal calls of the prior, one sample of DEFT has the highest PSNR on `sr4`");
    expect(text).toContain("it does not win on `ct` (3.25 dB behind dps). It is worse than A†y on `ct`.");
    expect(text).toContain("dps takes 2.00 times as long as DEFT (2.00 to 2.00); pgdm takes 3.00 times");
    expect(text).toContain("DEFT does not win: it is 3.25 dB below dps.");
  });

  test("calls two methods level whose figures are the same to the last digit shown", () => {
    const level = page([{ ...result("sr4", 20, 20.004), best: result("sr4", 20, 19.004).best }]);
    expect(level).toContain("it does not win on `sr4` (level with dps)");
    expect(level).toContain("At equal calls DEFT and the best other method, dps, are level.");
    expect(page([result("sr4", 20, 20.006)])).toContain("At equal calls DEFT does not win: it is 0.01 dB");
  });

  test("names the experiments that were not measured", () => {
    expect(text).toContain("experiments (all but `inp`, `hdr`");
    const all = Object.keys(experimentPresets).map((task) => result(task, 22, 20));
    expect(page(all)).not.toContain("all but");
  });

  test("shows the note of a task", () => {
    expect(page([{ ...result("sr4", 22, 20), note: "Mind this." }])).toContain("\n\nMind this.\n\n");
    expect(text).not.toContain("Mind this.");
  });

  test("times come from the tables, and that is said, where none was taken apart", () => {
    const untimed = page([{ ...result("sr4", 22, 20), timing: [] }]);
    expect(untimed).toContain("dps takes 2.00 times as long as DEFT (2.00 to 2.00); pgdm takes 3.00 times");
    expect(untimed).toContain("on a machine under changing load");
    expect(text).not.toContain("on a machine under changing load");
  });

  test("names adapter and commit, what was tried and what was left out, and shows the picture", () => {
    expect(text).toContain("Commit abc1234, 2026-01-02, Card A");
    expect(text).toContain("| dps | `grad_term_weight=3` | 20 | – |");
    expect(text).toContain("Left out: ddrm (no singular value decomposition).");
    expect(text).toContain("(images/results-ct.png)");
    expect(text).toContain("| DEFT, mean of 2 | 20 | **23.00** |");
    expect(text).toContain("40 + 40");
  });
});
