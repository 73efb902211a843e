// The run of `deft train`: prior, data, fine-tuning, validation on the way, evaluation, and what it leaves in its folder.
import path from "node:path";
import { epochOrder } from "../deft/batches.ts";
import type { Config } from "../deft/config/schema.ts";
import { subset, type ImageDataset } from "../deft/dataset.ts";
import { evaluationSteps, restoreBatch, summarise, type Restored } from "../deft/evaluate.ts";
import { classed } from "./classes.ts";
import { openData } from "./data.ts";
import { maskLine, openTask } from "./task-files.ts";
import { formatBytes, formatCount } from "./format.ts";
import { stopped } from "./interrupt.ts";
import { predictedPeak } from "./memory.ts";
import { openEngine, type OpenedEngine } from "./open-engine.ts";
import { createProgress } from "./progress.ts";
import { measureLines } from "./report/figures.ts";
import { trainLabel } from "./resolve-run.ts";
import { atomicWrite, finishedFolder, openRunFolder, storedFolder, type RunFolder } from "./run-folder.ts";
import { EVOLUTION_STEPS, exportTransform, saveGrid, savePictures, writeResults } from "./run-results.ts";
import { resumeLoop, runLoop, statsFile, type LoopResult } from "./train-loop.ts";
import { recordTuning } from "./tuning.ts";
import { evaluationOptions, halfLine, setUpRun, withRunWeights, type Run } from "./train-setup.ts";

const SAMPLES = 4;

/** The training run of a resolved and checked configuration. Throws UserError. */
export async function runTraining(config: Config): Promise<void> {
  const started = performance.now();
  const finished = await finishedFolder(config, trainLabel(config));
  if (finished !== null) return console.log(`resume: ${finished} is finished; nothing to do`);
  const { train, validation } = await openData(config);
  const data = { train: classed(config, train, false), validation: classed(config, validation, false) };
  const side = data.train.side;
  const task = await openTask(config, side, data.train.channels);
  const opened = await openEngine(
    config,
    config.exp.resume ? await storedFolder(config, trainLabel(config)) : null,
  );
  try {
    // Before anything is written: what does not fit the adapter, or weights that do not fit their networks, end the run here.
    const peak = await withRunWeights(config, (weights) =>
      predictedPeak(opened.engine.device, { config, task, train: data.train, ...weights }, data.validation),
    );
    const folder = await openRunFolder(config);
    const run = await withRunWeights(folder.config, async (weights) => {
      const run = await setUpRun(opened.engine, {
        ...{ config: folder.config, task, train: data.train },
        ...weights,
      });
      describe(folder, run, data, peak);
      return run;
    });
    await recordTuning(folder.path, opened.tuning);
    await resumeLoop(folder, run.fineTuning.trainer);
    const trained = await fineTune(folder, run, data.validation);
    if (!trained.finished) {
      stopped(
        `stopped at step ${run.fineTuning.trainer.steps}, saved; go on with: deft train --resume exp.name=${folder.name}`,
      );
      return;
    }
    await evaluate({ opened, folder, run, data: data.validation, trained, started });
  } finally {
    task.release();
    opened.close();
  }
}

function describe(
  folder: RunFolder,
  run: Run,
  data: { train: ImageDataset; validation: ImageDataset },
  peak: number,
): void {
  const { config } = run;
  const [prior, h] = [run.prior.parameters.count, run.fineTuning.trainer.set.count];
  const pictures = (d: ImageDataset) => d.length / (d.versions ?? 1);
  const sigma = run.task.condition.sigmaY;
  console.log(`run: ${folder.path}`);
  console.log(
    `task: ${config.algo.deg}, noise sigma_y ${sigma} on [-1, 1] (${sigma / 2} on [0, 1]); ${data.train.name}, ${pictures(data.train)} pictures to learn from, ${pictures(data.validation)} held out, side ${data.train.side}`,
  );
  const { masks } = run.task;
  if (masks?.count !== undefined) console.log(maskLine(masks.mask(0), masks.count));
  console.log(
    `networks: frozen prior ${formatCount(prior)} parameters, h-transform ${formatCount(h)} (${((100 * h) / prior).toFixed(1)} %), ${run.totalSteps} steps of ${config.algo.finetune_args.batch_size}`,
  );
  const half = halfLine(config, run.engine.device);
  if (half !== null) console.log(half);
  console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
}

async function fineTune(folder: RunFolder, run: Run, validation: ImageDataset): Promise<LoopResult> {
  const { config, fineTuning, batches, totalSteps } = run;
  const { finetune_args: o, val_args: val } = config.algo;
  const all = config.diffusion.num_diffusion_timesteps;
  const shown = [...[0, 0.25, 0.5, 0.75].map((part) => Math.floor(part * all)), all - 1];
  const validate = async (
    step: number,
    epoch: number,
    pictures: number,
    print: (line: string) => void,
  ): Promise<void> => {
    const options = evaluationOptions(run, val.num_steps, { samples: 1, evolutionSteps: 0 });
    const restored = await restoreBatch(options, validation, 0, Math.min(pictures, validation.length));
    const file = path.join(folder.path, "validation", String(step).padStart(6, "0"));
    await saveGrid(`${file}.png`, validation, [restored]);
    const scores = summarise([restored]).get("deft");
    const gate = await fineTuning.gate(shown, val.use_ema);
    const facts = {
      step,
      epoch,
      pictures: restored.count,
      ...scores,
      gate: { t: shown, s: Array.from(gate) },
    };
    await atomicWrite(`${file}.json`, `${JSON.stringify(facts, null, 1)}\n`);
    print(
      `validation after epoch ${epoch}: PSNR ${scores?.psnr.toFixed(2)} dB, SSIM ${scores?.ssim.toFixed(3)}, consistency ${scores?.consistency.toFixed(1)} dB; s(t) at t = ${shown.join(", ")}: ${Array.from(gate, (v) => v.toFixed(3)).join(", ")}`,
    );
  };
  return runLoop({
    label: "train",
    folder,
    trainer: fineTuning.trainer,
    batches,
    totalSteps,
    logFreq: o.log_freq,
    saveEverySteps: o.save_every_steps ?? batches.stepsPerEpoch,
    lr: () => fineTuning.lr,
    step: (batch) => fineTuning.step(batch),
    afterStep: async (step, progress) => {
      if (step % batches.stepsPerEpoch !== 0) return;
      const epoch = step / batches.stepsPerEpoch;
      const print = (line: string) => progress.print(line);
      if (o.save_model_every_n_epoch > 0 && epoch % o.save_model_every_n_epoch === 0)
        for (const average of [false, true])
          await exportTransform(
            path.join(folder.checkpoints, `model-${epoch}${average ? "_ema" : ""}.safetensors`),
            fineTuning,
            average,
          );
      if (step >= totalSteps) return;
      if (val.sample_freq > 0 && epoch % val.sample_freq === 0)
        await validate(step, epoch, val.batch_size, print);
      if (val.psnr_sample_freq > 0 && epoch % val.psnr_sample_freq === 0)
        await validate(step, epoch, val.psnr_batch_size, print);
    },
  });
}

interface Evaluation {
  readonly opened: OpenedEngine;
  readonly folder: RunFolder;
  readonly run: Run;
  readonly data: ImageDataset;
  readonly trained: LoopResult;
  readonly started: number;
}

/** Restores held-out pictures, writes pictures, report and summary. */
async function evaluate({ opened, folder, run, data, trained, started }: Evaluation): Promise<void> {
  const { config, prior } = run;
  const { exp, loader } = config;
  const size = Math.min(loader.batch_size, data.length);
  const all = loader.drop_last ? Math.max(1, Math.floor(data.length / size)) : Math.ceil(data.length / size);
  const count = exp.smoke_test > 0 ? Math.min(exp.smoke_test, all) : all;
  const order = subset(data, [...epochOrder(data.length, exp.seed, 0, loader.shuffle)]);
  const sampling = performance.now();
  const progress = createProgress("restore");
  let done = 0;
  const options = evaluationOptions(run, exp.num_steps, {
    samples: SAMPLES,
    evolutionSteps: EVOLUTION_STEPS,
    onStep: () => progress.update({ step: ++done, total: count * evaluationSteps(options) }),
  });
  progress.update({ step: 0, total: count * evaluationSteps(options) });
  const batches: Restored[] = [];
  const calls = () => prior.calls + run.fineTuning.hTransform.calls;
  const before = calls();
  for (let b = 0; b < count; b++) {
    const first = b * size;
    const restored = await restoreBatch(options, order, first, Math.min(size, order.length - first));
    await savePictures(folder.path, order, restored, first, exp);
    // Only the first batch is shown; the others keep their scores.
    const none = new Float32Array();
    const measurement = { ...restored.measurement, values: none };
    batches.push(
      b === 0 ? restored : { ...restored, measurement, evolution: [], methods: new Map(), original: none },
    );
    if ((b + 1) % exp.logfreq === 0 && b + 1 < count)
      progress.print(measureLines(Object.fromEntries(summarise(batches))).join("\n"));
  }
  progress.done();
  const seconds = {
    train: trained.seconds,
    sample: (performance.now() - sampling) / 1000,
    total: (performance.now() - started) / 1000,
  };
  await writeResults({
    folder,
    gpu: opened.gpu,
    run: { ...run, data: order },
    batches,
    seconds,
    imagesPerSecond: trained.imagesPerSecond,
    networkCalls: calls() - before,
    statsFile: statsFile(folder),
  });
}
