// The loop of train and pretrain, on three numbers in the place of a network.
import { existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { checkpointPath } from "../../src/cli/checkpoint-file.ts";
import type { RunFolder } from "../../src/cli/run-folder.ts";
import { readStats } from "../../src/cli/stats.ts";
import { resumeLoop, runLoop, statsFile, type TrainLoop } from "../../src/cli/train-loop.ts";
import type { Batch } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { learningRate, Trainer } from "../../src/deft/trainer.ts";
import { openWeights } from "../../src/io/weights.ts";
import { Declarations, ParameterSet } from "../../src/nn/parameter.ts";
import { initialise } from "../../src/nn/state.ts";
import { square, sub, sum, type Engine, type Tensor } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const LR = 0.1;
const TOTAL = 6;
const RATE = (step: number): number => LR * (1 - (step - 1) / TOTAL);

let folder: RunFolder;
let printed: string[];
beforeEach(() => {
  const root = temporaryFolder();
  const at = path.join(root, "samples");
  mkdirSync(at);
  const { config } = resolveConfig([]);
  folder = { name: "a", path: at, checkpoints: path.join(root, "ckpts"), config, resumed: false };
  printed = [];
  vi.spyOn(console, "log").mockImplementation((line) => void printed.push(String(line)));
  vi.spyOn(process.stdout, "write").mockReturnValue(true);
});
afterEach(() => void vi.restoreAllMocks());

/** A trainer of three numbers, which `at` says what to draw near to in each step. */
function threeNumbers(engine: Engine, at: (step: number) => number = Math.sin) {
  const declarations = new Declarations();
  const w = declarations.add("w", [3], { normal: 1 });
  const set = new ParameterSet(engine, declarations.list, { trainable: true });
  initialise(set, 1);
  const trainer = new Trainer(set, { beta: 0.5, updateAfterStep: 0, updateEvery: 1 });
  const lr = () => learningRate(LR, trainer.steps, TOTAL, true);
  const get = (step: number): Promise<Batch> =>
    Promise.resolve({
      values: Float32Array.of(at(step), 1, 2),
      ...{ count: 1, epoch: Math.floor(step / 4), labels: null },
    });
  const step = ({ values }: Batch): Tensor =>
    trainer.step(lr(), () => sum(square(sub(w.value, engine.tensor(values, [3]))), { axes: null }));
  const loop = (o: Partial<TrainLoop> = {}): TrainLoop => ({
    ...{ label: "train", folder, trainer, batches: { get }, totalSteps: TOTAL },
    ...{ logFreq: 1, saveEverySteps: 2, lr, step, ...o },
  });
  const dispose = () => {
    trainer.dispose();
    set.dispose();
  };
  return { trainer, loop, dispose };
}

/** The step that the checkpoint was saved at; null where there is none. */
async function savedStep(): Promise<string | null> {
  if (!existsSync(checkpointPath(folder.checkpoints))) return null;
  const weights = await openWeights(checkpointPath(folder.checkpoints));
  await weights.close();
  return weights.metadata.get("deft.step") ?? "";
}

const state = async (trainer: Trainer) =>
  (await trainer.state()).map(({ name, data }) => [name, ...data] as const);

/** Ends the loop as a process that is killed after so many steps would. */
const killedAfter = (last: number) => (step: number) =>
  step === last ? Promise.reject(new Error("killed")) : Promise.resolve();

describe("the loop of a training", () => {
  test("runs all steps, has a row of each with its own learning rate, and saves the end", async () => {
    const { trainer, loop, dispose } = threeNumbers(await testEngine());
    const after: number[] = [];
    const saved: (string | null)[] = [];
    const result = await runLoop(
      loop({
        metadata: { note: "own" },
        afterStep: async (step) => {
          after.push(step);
          saved.push(await savedStep());
        },
      }),
    );
    expect(result.finished).toBe(true);
    expect(trainer.steps).toBe(TOTAL);
    expect(after).toEqual([1, 2, 3, 4, 5, 6]);
    expect(saved).toEqual([null, "2", "2", "4", "4", "4"]);
    expect(await savedStep()).toBe("6");
    const weights = await openWeights(checkpointPath(folder.checkpoints));
    expect(weights.metadata.get("note")).toBe("own");
    await weights.close();
    const rows = readStats(statsFile(folder));
    expect(rows.map((r) => [r.step, r.epoch])).toEqual([
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
      [5, 1],
      [6, 1],
    ]);
    for (const { step, lr } of rows) expect(lr).toBeCloseTo(RATE(step), 12);
    dispose();
  });

  test("rows come every logFreq steps and at the end", async () => {
    const { loop, dispose } = threeNumbers(await testEngine());
    await runLoop(loop({ logFreq: 4 }));
    expect(readStats(statsFile(folder)).map((r) => r.step)).toEqual([4, 6]);
    dispose();
  });

  test("a loss that is not finite ends it, and the checkpoint before stays", async () => {
    const engine = await testEngine();
    for (const broken of [NaN, Infinity]) {
      const { loop, dispose } = threeNumbers(engine, (step) => (step === 1 ? broken : 0));
      const running = runLoop(loop({ saveEverySteps: 1 }));
      await expect(running).rejects.toThrow(UserError);
      await expect(running).rejects.toThrow(
        `train: the loss is ${broken} at step 2; the last checkpoint is kept in ${folder.checkpoints}`,
      );
      expect(await savedStep()).toBe("1");
      dispose();
    }
  });

  test("a run that was killed goes on from its checkpoint to the same end, no row twice", async () => {
    const engine = await testEngine();
    const whole = threeNumbers(engine);
    const own = folder;
    folder = { ...own, checkpoints: `${own.checkpoints}-whole`, path: temporaryFolder() };
    await runLoop(whole.loop());
    const losses = readStats(statsFile(folder)).map((r) => r.loss);
    folder = own;

    const first = threeNumbers(engine);
    await expect(runLoop(first.loop({ afterStep: killedAfter(3) }))).rejects.toThrow("killed");
    expect(await savedStep()).toBe("2");
    expect(readStats(statsFile(folder)).map((r) => r.step)).toEqual([1, 2, 3]);

    const second = threeNumbers(engine);
    await resumeLoop(folder, second.trainer);
    expect(second.trainer.steps, "a new run resumes nothing").toBe(0);
    folder = { ...folder, resumed: true };
    await resumeLoop(folder, second.trainer);
    expect(printed).toEqual(["resume: from step 2"]);
    expect(second.trainer.steps).toBe(2);
    const kept = readStats(statsFile(folder));
    expect(kept.map((r) => r.step)).toEqual([1, 2]);
    await runLoop(second.loop());
    const rows = readStats(statsFile(folder));
    expect(rows.map((r) => r.step)).toEqual([1, 2, 3, 4, 5, 6]);
    expect(rows.map((r) => r.loss)).toEqual(losses);
    for (const { step, lr } of rows) expect(lr).toBeCloseTo(RATE(step), 12);
    // Time goes on from where it was.
    for (const row of rows.slice(2)) expect(row.time_s).toBeGreaterThan(kept[1]!.time_s);
    expect(await state(second.trainer)).toEqual(await state(whole.trainer));
    for (const { dispose } of [whole, first, second]) dispose();
  });

  test("one that was killed before its first checkpoint starts anew, without rows", async () => {
    const engine = await testEngine();
    const first = threeNumbers(engine);
    await expect(runLoop(first.loop({ afterStep: killedAfter(1) }))).rejects.toThrow("killed");
    expect(readStats(statsFile(folder))).toHaveLength(1);
    const second = threeNumbers(engine);
    await resumeLoop({ ...folder, resumed: true }, second.trainer);
    expect(printed).toEqual(["resume: no checkpoint yet, starting anew"]);
    expect(readStats(statsFile(folder))).toEqual([]);
    for (const { dispose } of [first, second]) dispose();
  });
});
