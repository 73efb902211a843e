// The run of `deft pretrain`: folder, loop, checkpoints, pictures drawn on the way.
import path from "node:path";
import { Batches } from "../deft/batches.ts";
import type { Config } from "../deft/config/schema.ts";
import { priorMetadata } from "../deft/config/prior-metadata.ts";
import { UserError } from "../deft/errors.ts";
import { Pretraining } from "../deft/pretrain.ts";
import { Schedule } from "../deft/schedule.ts";
import { square, tile, writePng } from "../io/images.ts";
import { writeWeights } from "../io/weights.ts";
import { readState } from "../nn/state.ts";
import { restoreCheckpoint, saveCheckpoint } from "./checkpoint-file.ts";
import { openData } from "./data.ts";
import { onInterrupt } from "./interrupt.ts";
import { openEngine } from "./open-engine.ts";
import { createProgress } from "./progress.ts";
import { openRunFolder } from "./run-folder.ts";
import { appendStats, cutBack } from "./stats.ts";

const SAMPLES = 64;
const SAMPLE_STEPS = 50;

export async function runPretraining(config: Config): Promise<void> {
  const { train } = await openData(config);
  const named = { ...config, exp: { ...config.exp, name: config.exp.name ?? `prior-${config.model.name}` } };
  const folder = await openRunFolder(named);
  const { engine, gpu, close } = await openEngine(config.adapter);
  const { device } = engine;
  const o = config.pretrain;
  const schedule = new Schedule({
    betaSchedule: config.diffusion.beta_schedule,
    betaStart: config.diffusion.beta_start,
    betaEnd: config.diffusion.beta_end,
    numTimesteps: config.diffusion.num_diffusion_timesteps,
  });
  const run = new Pretraining(engine, schedule, config);
  const { trainer } = run;
  const resumed = folder.resumed ? await restoreCheckpoint(folder.checkpoints, trainer) : null;
  const stats = path.join(folder.path, "stats.jsonl");
  await cutBack(stats, trainer.steps);
  console.log(
    `run: ${folder.path}; prior with ${trainer.set.count} parameters; ${train.name}, ${train.length / (train.versions ?? 1)} pictures`,
  );
  if (folder.resumed)
    console.log(
      resumed === null ? "resume: no checkpoint yet, starting anew" : `resume: from step ${resumed}`,
    );
  const batches = new Batches(train, {
    batchSize: o.batch_size,
    seed: config.exp.seed,
    shuffle: true,
    dropLast: true,
    flip: o.flip,
  });
  const progress = createProgress("pretrain");
  const interrupt = onInterrupt();
  const started = performance.now();
  let [mark, seen] = [started, 0];
  let fence: Promise<undefined> | undefined;
  progress.update({ step: trainer.steps, total: o.steps });
  while (trainer.steps < o.steps && !interrupt.asked) {
    const batch = await batches.get(trainer.steps);
    const lr = run.lr;
    const loss = run.step(batch);
    seen += batch.count;
    const step = trainer.steps;
    if (step % o.log_freq === 0 || step === o.steps) {
      const value = (await loss.read())[0] as number;
      const now = performance.now();
      const rate = (1000 * seen) / (now - mark);
      [mark, seen] = [now, 0];
      if (!Number.isFinite(value))
        throw new UserError(
          `pretrain: the loss is ${value} at step ${step}; the last checkpoint is kept in ${folder.checkpoints}; lower pretrain.lr`,
        );
      const { live, peak } = device.pool.stats;
      appendStats(stats, {
        step,
        epoch: batch.epoch,
        loss: value,
        lr,
        images_per_s: rate,
        gpu_live_bytes: live,
        gpu_peak_bytes: peak,
        heap_bytes: process.memoryUsage().heapUsed,
        time_s: (now - started) / 1000,
      });
      progress.update({ step, total: o.steps, loss: value, imagesPerSecond: rate });
    }
    loss.dispose();
    // One step is recorded while the one before runs; no more pile up.
    await fence;
    fence = device.queue.fence();
    if (step % o.save_every_steps === 0)
      await saveCheckpoint(folder.checkpoints, trainer, priorMetadata(config.model));
    if (step % o.sample_every_steps === 0)
      await drawSamples(run, path.join(folder.path, "samples", `${step}.png`));
  }
  await device.queue.idle();
  progress.done();
  await saveCheckpoint(folder.checkpoints, trainer, priorMetadata(config.model));
  if (interrupt.asked) {
    console.log(
      `stopped at step ${trainer.steps}, saved; go on with: deft pretrain --resume exp.name=${folder.name}`,
    );
  } else {
    await drawSamples(run, path.join(folder.path, "samples.png"));
    const file = o.out ?? path.join(folder.path, "prior.safetensors");
    await exportPrior(run, config, file);
    console.log(`prior: ${file}; trained on ${gpu.name}`);
  }
  close();
}

/** Writes the averaged weights in half precision, with the description of the network. */
export async function exportPrior(run: Pretraining, config: Config, file: string): Promise<void> {
  const weights = await readState(run.trainer.set, run.trainer.average);
  await writeWeights(
    file,
    weights.map((t) => ({ ...t, dtype: "F16" as const })),
    priorMetadata(config.model),
  );
}

async function drawSamples(run: Pretraining, file: string): Promise<void> {
  const x = await run.sample(SAMPLES, SAMPLE_STEPS, 1);
  const values = await x.read();
  const channels = x.dim(1) === 1 ? 1 : 3;
  const size = x.size / SAMPLES;
  const pictures = Array.from({ length: SAMPLES }, (_, i) =>
    square(values.slice(i * size, (i + 1) * size), channels),
  );
  await writePng(file, tile(pictures, { columns: 8 }));
  x.dispose();
}
