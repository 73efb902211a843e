// The loop that `train` and `pretrain` share: steps with back-pressure, rows of stats.jsonl, checkpoints, Ctrl-C.
import path from "node:path";
import type { Batches } from "../deft/batches.ts";
import { UserError } from "../deft/errors.ts";
import type { Trainer } from "../deft/trainer.ts";
import type { Tensor } from "../tensor/index.ts";
import { restoreCheckpoint, saveCheckpoint } from "./checkpoint-file.ts";
import { onInterrupt } from "./interrupt.ts";
import type { Progress } from "./progress.ts";
import { createProgress } from "./progress.ts";
import type { RunFolder } from "./run-folder.ts";
import { appendStats, cutBack, readStats } from "./stats.ts";

export interface TrainLoop {
  readonly label: string;
  readonly folder: RunFolder;
  readonly trainer: Trainer;
  readonly batches: Pick<Batches, "get">;
  readonly totalSteps: number;
  readonly logFreq: number;
  readonly saveEverySteps: number;
  /** Stored with each checkpoint. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Learning rate of the next step. */
  readonly lr: () => number;
  /** Records a step; returns its loss. */
  readonly step: (batch: Awaited<ReturnType<Batches["get"]>>) => Tensor;
  /** After each step, when its number is known: samples on the way. */
  readonly afterStep?: (step: number, progress: Progress) => Promise<void>;
}

export interface LoopResult {
  /** False when Ctrl-C ended it: the state is saved. */
  readonly finished: boolean;
  /** Seconds of training over all resumed parts. */
  readonly seconds: number;
  readonly imagesPerSecond: number;
}

/** Restores the folder's checkpoint when the run is resumed, says what it found, and cuts stats.jsonl back to it. */
export async function resumeLoop(folder: RunFolder, trainer: Trainer): Promise<void> {
  if (!folder.resumed) return;
  const step = await restoreCheckpoint(folder.checkpoints, trainer);
  console.log(step === null ? "resume: no checkpoint yet, starting anew" : `resume: from step ${step}`);
  await cutBack(statsFile(folder), step ?? 0);
}

export const statsFile = (folder: RunFolder): string => path.join(folder.path, "stats.jsonl");

/**
 * Trains until `totalSteps` or Ctrl-C. The loss is read every `logFreq` steps; one step is recorded while the one before
 * runs. A loss that is not finite ends the run with its step and keeps the last checkpoint. Throws UserError.
 */
export async function runLoop(o: TrainLoop): Promise<LoopResult> {
  const { trainer, folder, totalSteps } = o;
  const { device } = trainer.set.engine;
  const stats = statsFile(folder);
  const before = readStats(stats).at(-1)?.time_s ?? 0;
  const progress = createProgress(o.label);
  const interrupt = onInterrupt();
  const started = performance.now();
  const seconds = () => before + (performance.now() - started) / 1000;
  let [mark, seen, total] = [started, 0, 0];
  progress.update({ step: trainer.steps, total: totalSteps });
  try {
    while (trainer.steps < totalSteps && !interrupt.asked) {
      const batch = await o.batches.get(trainer.steps);
      const lr = o.lr();
      const loss = o.step(batch);
      [seen, total] = [seen + batch.count, total + batch.count];
      const step = trainer.steps;
      if (step % o.logFreq === 0 || step === totalSteps) {
        const value = (await loss.read())[0] ?? NaN;
        const now = performance.now();
        const rate = (1000 * seen) / (now - mark);
        [mark, seen] = [now, 0];
        if (!Number.isFinite(value))
          throw new UserError(
            `${o.label}: the loss is ${value} at step ${step}; the last checkpoint is kept in ${folder.checkpoints}; begin a new run with a lower learning rate`,
          );
        appendStats(stats, {
          step,
          epoch: batch.epoch,
          loss: value,
          lr,
          images_per_s: rate,
          gpu_live_bytes: device.pool.stats.live,
          gpu_peak_bytes: device.pool.stats.peak,
          heap_bytes: process.memoryUsage().heapUsed,
          time_s: seconds(),
        });
        progress.update({ step, total: totalSteps, loss: value, imagesPerSecond: rate });
      }
      loss.dispose();
      await device.queue.pace();
      if (step % o.saveEverySteps === 0 && step < totalSteps) {
        await saveCheckpoint(folder.checkpoints, trainer, o.metadata);
        await device.trim();
      }
      await o.afterStep?.(step, progress);
    }
    await device.queue.idle();
    await saveCheckpoint(folder.checkpoints, trainer, o.metadata);
  } finally {
    progress.done();
    interrupt.release();
  }
  const elapsed = (performance.now() - started) / 1000;
  return {
    finished: trainer.steps >= totalSteps,
    seconds: seconds(),
    imagesPerSecond: total / Math.max(elapsed, 1e-3),
  };
}
