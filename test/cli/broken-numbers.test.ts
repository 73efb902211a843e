// Numbers that are not finite: never saved over good weights, never taken for zero, no scale of a map.
import { existsSync } from "node:fs";
import path from "node:path";
import { expect, test } from "vitest";
import { restoreCheckpoint, saveCheckpoint } from "../../src/cli/checkpoint-file.ts";
import { mostOf } from "../../src/cli/compare-results.ts";
import { appendBatch, readBatches } from "../../src/cli/sample-results.ts";
import { summarise } from "../../src/deft/evaluate.ts";
import { Trainer } from "../../src/deft/trainer.ts";
import { Declarations, ParameterSet } from "../../src/nn/parameter.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

test("weights are not saved over good ones", async () => {
  const engine = await testEngine();
  const declarations = new Declarations();
  declarations.add("w", [3], { normal: 1 });
  const set = new ParameterSet(engine, declarations.list, { trainable: true });
  const trainer = new Trainer(set, { beta: 0.9, updateAfterStep: 0, updateEvery: 1 });
  const folder = temporaryFolder();
  const [parameter] = set.parameters;
  set.write(parameter!, Float32Array.of(1, 2, 3));
  await saveCheckpoint(folder, trainer);
  for (const broken of [NaN, Infinity]) {
    set.write(parameter!, Float32Array.of(1, broken, 3));
    await expect(saveCheckpoint(folder, trainer)).rejects.toThrow(
      "not finite at step 0, so it is not saved over",
    );
  }
  expect(await restoreCheckpoint(folder, trainer)).toBe(0);
  expect([...(await parameter!.value.read())]).toEqual([1, 2, 3]);
  const empty = path.join(temporaryFolder(), "none");
  set.write(parameter!, Float32Array.of(NaN, 2, 3));
  await expect(saveCheckpoint(empty, trainer)).rejects.toThrow("not finite");
  expect(existsSync(empty)).toBe(false);
  trainer.dispose();
  set.dispose();
});

test("a score that is none stays none after resuming", async () => {
  const folder = temporaryFolder();
  const cost = { calls: { prior: 1, own: 0 }, secondsPerImage: 1, peakBytes: 1 };
  const scores = { psnr: [20, NaN], ssim: [0.5, 0.7], consistency: [40, 60] };
  appendBatch(folder, {
    ...{ first: 0, count: 2, labels: null, cost },
    ...{ scores: new Map([["dps", scores]]), inception: new Map() },
  });
  const means = summarise(await readBatches(folder)).get("dps");
  expect(means?.psnr).toBeNaN();
  expect([means?.ssim, means?.consistency]).toEqual([0.6, 50]);
});

test("a sample that diverged does not scale the maps of the others", () => {
  const deviations = new Map([
    ["dps", Float32Array.of(NaN, Infinity)],
    ["ddrm", Float32Array.of(0.25, 0.5)],
  ]);
  expect(mostOf({ deviations })).toBe(0.5);
});
