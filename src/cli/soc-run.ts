// The run of `deft train algo=deft_soc`: the h-transform of one held-out picture's measurement, and samples drawn with it.
import { existsSync } from "node:fs";
import path from "node:path";
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { openBatch } from "../deft/evaluate.ts";
import { HTransform } from "../deft/htransform.ts";
import { scheduleOf } from "../deft/networks.ts";
import { StochasticControl } from "../deft/soc.ts";
import type { Task } from "../deft/task.ts";
import { learningRate } from "../deft/trainer.ts";
import { ParameterSet } from "../nn/parameter.ts";
import { initialise, loadWeights } from "../nn/state.ts";
import { concat, type Engine } from "../tensor/index.ts";
import { forecast } from "./comparison-setup.ts";
import { formatBytes, formatCount } from "./format.ts";
import { stopped } from "./interrupt.ts";
import { learningOf, socCondition } from "./methods.ts";
import { openEngine } from "./open-engine.ts";
import { trainLabel } from "./resolve-run.ts";
import {
  atomicWrite,
  finishedFolder,
  LEARNING,
  openRunFolder,
  storedFolder,
  TRANSFORM,
  type RunFolder,
} from "./run-folder.ts";
import { exportTransform } from "./run-results.ts";
import { Evolution, openSource, sampleInto, samplingParts, type OpenedForSampling } from "./sample-run.ts";
import { recordTuning } from "./tuning.ts";
import { resumeLoop, runLoop } from "./train-loop.ts";
import { loadPrior, transformNetwork, withRunWeights, type RunWeights } from "./train-setup.ts";

/** The training of a resolved and checked configuration. Throws UserError. */
export async function runSoc(given: Config): Promise<void> {
  const { soc } = given.algo;
  const numSteps = soc.num_steps ?? given.exp.num_steps;
  const config: Config = { ...given, algo: { ...given.algo, soc: { ...soc, num_steps: numSteps } } };
  const { data, task } = await openSource(config);
  const resumed = config.exp.resume ? await storedFolder(config, trainLabel(config)) : null;
  const opened = await openEngine(config, resumed);
  try {
    await socOn(opened, config, data, task);
  } finally {
    task.release();
    opened.close();
  }
}

/** The same on an open engine. */
export async function socOn(
  { engine, gpu, tuning }: OpenedForSampling,
  config: Config,
  data: ImageDataset,
  task: Task,
): Promise<void> {
  const { picture } = config.algo.soc;
  const evolution = new Evolution();
  const batches = [[picture, 1]] as const;
  const isLearned = await withRunWeights(config, async (weights) => {
    const parts = samplingParts({
      config,
      task,
      data,
      weights: { ...weights, startWeights: null },
      evolution,
    });
    const { peak, costs } = await forecast(engine.device, parts, data, batches);
    const finished = await finishedFolder(config, trainLabel(config));
    if (finished !== null) {
      console.log(`resume: ${finished} is finished; nothing to do`);
      return null;
    }
    const folder = await openRunFolder(config, trainLabel(config));
    if (tuning) await recordTuning(folder.path, tuning);
    describe(folder, data, task, peak);
    if (existsSync(path.join(folder.path, LEARNING))) return folder;
    const perIteration = costs.get("deft_soc")?.learning?.calls ?? { prior: 0, own: 0 };
    return (await learn(engine, folder, { data, task, weights, perIteration })) ? folder : null;
  });
  if (isLearned === null) return;
  const folder = isLearned;
  const { exp, htransform_model: network } = folder.config;
  const learned: Config = {
    ...folder.config,
    exp: { ...exp, checkpoint: folder.path },
    htransform_model: { ...network, ckpt_path: path.join(folder.path, TRANSFORM) },
  };
  await withRunWeights(learned, async (weights) => {
    const parts = samplingParts({ config: learned, task, data, weights, evolution });
    await sampleInto({ ...folder, config: learned }, { engine, gpu, parts, data, evolution, batches });
  });
}

function describe({ path: run, config }: RunFolder, data: ImageDataset, task: Task, peak: number): void {
  const { algo } = config;
  console.log(`run: ${run}`);
  console.log(
    `task: ${algo.deg}, noise sigma_y ${socCondition(config, task).sigmaY} on [-1, 1]; picture ${algo.soc.picture} of ${data.name}, side ${data.side}: its measurement is all that is learned from`,
  );
  console.log(
    `deft_soc: ${algo.soc.objective}, ${algo.soc.iterations} iterations of ${algo.soc.batch_size} trajectories of ${algo.soc.num_steps} steps`,
  );
  console.log(`memory: ${formatBytes(peak)} of GPU memory at most`);
}

interface Learning {
  readonly data: ImageDataset;
  readonly task: Task;
  readonly weights: RunWeights;
  /** Network calls of an iteration. */
  readonly perIteration: { readonly prior: number; readonly own: number };
}

/** Learns and leaves the network and what it took; false where Ctrl-C ended it, the state saved. */
async function learn(
  engine: Engine,
  folder: RunFolder,
  { data, task, weights, perIteration }: Learning,
): Promise<boolean> {
  const { config } = folder;
  const { finetune_args: o, soc, val_args: val } = config.algo;
  const { seed } = config.exp;
  const schedule = scheduleOf(config.diffusion);
  const prior = await loadPrior(engine, config, schedule, weights.priorWeights);
  const hTransform = new HTransform(transformNetwork(config, data.channels));
  const set = new ParameterSet(engine, hTransform.declarations.list, { trainable: true });
  initialise(set, seed);
  const { startWeights: start } = weights;
  if (start !== null) await loadWeights(set, start.source, "", start.file);
  const batch = await openBatch({ engine, task, seed }, data, soc.picture, 1);
  const operator = batch.single(0, soc.batch_size);
  const y = engine.noGrad(() =>
    engine.scope(() => concat(new Array<typeof batch.y>(soc.batch_size).fill(batch.y), 0)),
  );
  const { lr, lrAnnealing, ema } = learningOf(config);
  const control = new StochasticControl(
    {
      ...{ engine, schedule, operator, y, hTransform, set },
      prior: prior.labelled(batch.labels),
      condition: socCondition(config, task),
    },
    {
      ...{ lr, lrAnnealing, ema, seed, objective: soc.objective, iterations: soc.iterations },
      numSteps: soc.num_steps ?? config.exp.num_steps,
    },
  );
  const { trainer } = control;
  console.log(
    `networks: frozen prior ${formatCount(prior.parameters.count)} parameters, h-transform ${formatCount(set.count)}`,
  );
  try {
    await resumeLoop(folder, trainer);
    const nothing = { values: new Float32Array(), count: soc.batch_size, epoch: 0, labels: null };
    const result = await runLoop({
      label: "learn",
      folder,
      trainer,
      batches: { get: () => Promise.resolve(nothing) },
      totalSteps: soc.iterations,
      logFreq: o.log_freq,
      saveEverySteps: o.save_every_steps ?? 100,
      lr: () => learningRate(lr, trainer.steps, soc.iterations, lrAnnealing),
      step: () => control.step(),
    });
    if (!result.finished) {
      stopped(
        `stopped at step ${trainer.steps}, saved; go on with: deft train --resume exp.name=${folder.name}`,
      );
      return false;
    }
    await exportTransform(path.join(folder.path, TRANSFORM), { trainer }, val.use_ema);
    const calls = {
      prior: perIteration.prior * soc.iterations,
      own: perIteration.own * soc.iterations,
    };
    const took = JSON.stringify({ calls, secondsPerImage: result.seconds });
    await atomicWrite(path.join(folder.path, LEARNING), `${took}\n`);
    return true;
  } finally {
    trainer.dispose();
    for (const t of [y, ...operator.held]) t.dispose();
    await batch.close();
    hTransform.release();
    set.dispose();
    prior.dispose();
  }
}
