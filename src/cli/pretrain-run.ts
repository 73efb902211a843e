// The run of `deft pretrain`: folder, loop, checkpoints, pictures drawn on the way.
import path from "node:path";
import { Batches } from "../deft/batches.ts";
import type { Config } from "../deft/config/schema.ts";
import { priorMetadata } from "../deft/config/prior-metadata.ts";
import { scheduleOf } from "../deft/networks.ts";
import { predictionOf, Pretraining } from "../deft/pretrain.ts";
import { square, tile, writePng } from "../io/images.ts";
import { writeWeights } from "../io/weights.ts";
import { readState } from "../nn/state.ts";
import { openData } from "./data.ts";
import { formatBytes } from "./format.ts";
import { stopped } from "./interrupt.ts";
import { pretrainingPeak } from "./memory.ts";
import { openEngine } from "./open-engine.ts";
import { checkFile, checkFolder } from "./output-place.ts";
import { openRunFolder, storedConfig, storedFolder } from "./run-folder.ts";
import { loadStart, openStart } from "./start-weights.ts";
import { resumeLoop, runLoop } from "./train-loop.ts";
import { recordTuning } from "./tuning.ts";

const SAMPLES = 64;
const SAMPLE_STEPS = 100;

export async function runPretraining(given: Config): Promise<void> {
  const stored = given.exp.resume ? await storedConfig(given) : null;
  checkOut(given, stored);
  const start = given.model.ckpt_path === null ? null : await openStart(given.model.ckpt_path);
  const prediction = predictionOf(given.model.prediction_type ?? start?.prediction ?? null);
  const config = { ...given, model: { ...given.model, prediction_type: prediction } };
  const { train } = await openData(config);
  const resumed = stored === null ? null : await storedFolder(config);
  const { engine, gpu, tuning, close } = await openEngine(config, resumed);
  // Before anything is written: a network that does not fit the adapter, or weights that do not fit it, end the run here.
  const peak = await pretrainingPeak(engine.device, config, SAMPLES);
  const o = config.pretrain;
  const run = new Pretraining(engine, scheduleOf(config.diffusion), config);
  const { trainer } = run;
  const started = start && (await loadStart(trainer.set, start, prediction));
  await start?.close();
  const folder = await openRunFolder(config);
  await resumeLoop(folder, trainer);
  if (started !== null && trainer.steps === 0) console.log(started);
  console.log(
    `run: ${folder.path}; prior with ${trainer.set.count} parameters; ${train.name}, ${train.length / (train.versions ?? 1)} pictures`,
  );
  console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
  await recordTuning(folder.path, tuning);
  const { finished } = await runLoop({
    label: "pretrain",
    folder,
    trainer,
    batches: new Batches(train, {
      batchSize: o.batch_size,
      seed: config.exp.seed,
      shuffle: true,
      dropLast: true,
      flip: o.flip,
    }),
    totalSteps: o.steps,
    logFreq: o.log_freq,
    saveEverySteps: o.save_every_steps,
    metadata: priorMetadata(config),
    lr: () => run.lr,
    step: (batch) => run.step(batch),
    afterStep: async (step) => {
      if (step % o.sample_every_steps === 0)
        await drawSamples(run, path.join(folder.path, "samples", `${step}.png`));
    },
  });
  if (finished) {
    const file = o.out ?? path.join(folder.path, "prior.safetensors");
    await exportPrior(run, config, file);
    await drawSamples(run, path.join(folder.path, "samples.png"));
    console.log(`prior: ${file}; trained on ${gpu.name}`);
  } else {
    stopped(
      `stopped at step ${trainer.steps}, saved; go on with: deft pretrain --resume exp.name=${folder.name}`,
    );
  }
  close();
}

/** Throws a UserError where the weight file cannot be written; a run that goes on may replace its own. */
export function checkOut({ pretrain: { out }, exp }: Config, stored: Config | null): void {
  if (out === null) return;
  const before = stored?.pretrain.out ?? null;
  const isOwn = before !== null && path.resolve(before) === path.resolve(out);
  checkFolder("pretrain.out", path.dirname(out), "a file in another folder");
  checkFile("pretrain.out", out, exp.overwrite || isOwn, "another file, such as prior.safetensors");
}

/** Writes the averaged weights in half precision, with the description of the network. */
export async function exportPrior(run: Pretraining, config: Config, file: string): Promise<void> {
  const weights = await readState(run.trainer.set, run.trainer.average);
  await writeWeights(
    file,
    weights.map((t) => ({ ...t, dtype: "F16" as const })),
    priorMetadata(config),
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
