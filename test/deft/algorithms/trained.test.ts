// DEFT trained beside a Gaussian prior, by the code that trains every network: draws for new measurements have the posterior's
// mean and variance.
import { beforeAll, describe, test } from "vitest";
import { conditioningChannels } from "../../../src/deft/config/degradation.ts";
import { resolveConfig } from "../../../src/deft/config/resolve.ts";
import { FineTuning } from "../../../src/deft/finetune.ts";
import type { HTransformConfig } from "../../../src/deft/htransform.ts";
import { sampleDdim } from "../../../src/deft/sample.ts";
import { timesteps } from "../../../src/deft/schedule.ts";
import { makeTask, type Task } from "../../../src/deft/task.ts";
import { Philox, randomNormal, type Engine } from "../../../src/tensor/index.ts";
import { testEngine } from "../../helpers/engine.ts";
import { expectNothingLeft } from "../../helpers/live-bytes.ts";
import { smallUNet } from "../../helpers/small-network.ts";
import { expectMoments, gaussianDenoiser, moments, posterior, type Gaussian } from "./gaussian.ts";
import { freePrior, kept, rowsOf, schedule, type TaskName } from "./setting.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await testEngine();
});
expectNothingLeft();

/** Variances are equal, so that one network for all pixels can hold the optimum. */
const prior: Gaussian = { ...freePrior, variance: freePrior.mean.map(() => 0.3) };
const SIZE = 16;
const BATCH = 64;
const STEPS = 150;
const DRAWS = 1000;
const OBSERVATIONS = 2;
const STEPS_OF_SAMPLING = 40;

/** Pictures that the prior draws, one after the other. */
function drawn(count: number, stream: number): Float32Array<ArrayBuffer> {
  const random = new Philox(7, stream);
  return Float32Array.from(
    { length: count * SIZE },
    (_, i) =>
      (prior.mean[i % SIZE] as number) + Math.sqrt(prior.variance[i % SIZE] as number) * random.normal(),
  );
}

/** ys of pictures that the prior draws, with noise everywhere, as training has it, and the rows that see something. */
function observe(task: TaskName, sigmaY: number): { readonly y: number[]; readonly seen: number[] }[] {
  const x = drawn(OBSERVATIONS, STEPS);
  const random = new Philox(8, 1);
  return Array.from({ length: OBSERVATIONS }, (_, k) => {
    const own = x.subarray(k * SIZE, (k + 1) * SIZE);
    const rows = rowsOf[task].map((row) => row.reduce((sum, a, i) => sum + a * (own[i] as number), 0));
    const clean = task === "sr2" ? rows : kept.map((m, i) => m * (own[i] as number));
    const y = clean.map((v) => v + sigmaY * random.normal());
    return { y, seen: task === "sr2" ? y : y.filter((_v, i) => kept[i]) };
  });
}

/** The network's task, trained on pictures that the prior draws. */
function train(deg: TaskName, sigmaY: number): { fineTuning: FineTuning; task: Task } {
  const { config } = resolveConfig([
    ...["model=phantoms", `algo.deg=${deg}`, `algo.sigma_y=${sigmaY}`],
    ...["algo.finetune_args.lr=0.01", `algo.finetune_args.batch_size=${BATCH}`],
    ...["algo.ema.beta=0.95", "algo.ema.update_after_step=0", "algo.ema.update_every=1"],
  ]);
  const masks = { name: "every third", height: 4, width: 4, mask: () => Float32Array.from(kept) };
  const task = makeTask(config, 4, 1, masks);
  const network: HTransformConfig = {
    ...smallUNet(4, 1),
    ...{ modelChannels: 8, normGroups: 4, inChannels: conditioningChannels(deg, 1, true) },
    ...{ useResidual: true, epsilonBased: true, initScalingBias: 0.001 },
  };
  const { denoise } = gaussianDenoiser(engine, schedule, prior);
  const frozen = { denoise, network: { config: { inChannels: 1, imageSize: 4 } } };
  const options = { engine, schedule, prior: frozen, network, task, config, totalSteps: STEPS };
  const fineTuning = new FineTuning(options);
  for (let step = 0; step < STEPS; step++)
    fineTuning.step({ values: drawn(BATCH, step), count: BATCH, epoch: 0, labels: null }).dispose();
  return { fineTuning, task };
}

async function check(name: TaskName, sigmaY: number): Promise<void> {
  const { fineTuning, task } = train(name, sigmaY);
  const observed = observe(name, sigmaY);
  const n = DRAWS * OBSERVATIONS;
  const indices = Array.from({ length: n }, (_, i) => i);
  const operator = task.operator(engine, indices);
  const values = indices.flatMap((i) => (observed[Math.floor(i / DRAWS)] as { y: number[] }).y);
  const y = engine.tensor(values, [n, ...operator.outShape]);
  const result = await sampleDdim({
    ...{ engine, schedule, ts: timesteps(1000, 0, STEPS_OF_SAMPLING), eta: 0 },
    predict: fineTuning.predict(operator, y, true),
    start: randomNormal(engine, [n, 1, 4, 4], { seed: 5, stream: 1 }),
    noise: () => engine.empty([n, 1, 4, 4]),
  });
  const all = await result.read();
  for (const [k, { seen }] of observed.entries())
    expectMoments(
      moments(all.subarray(k * DRAWS * SIZE, (k + 1) * DRAWS * SIZE), DRAWS),
      posterior(prior, rowsOf[name], seen, sigmaY),
      { draws: DRAWS, slack: 0.1 },
    );
  for (const t of [result, y, ...operator.held]) t.dispose();
  fineTuning.hTransform.release();
  fineTuning.trainer.dispose();
  fineTuning.trainer.set.dispose();
  task.release();
}

describe("posterior of a Gaussian prior by a trained h-transform", () => {
  test("super-resolution without noise", () => check("sr2", 0));
  test("super-resolution with noise", () => check("sr2", 0.2));
  test("in-painting with noise", () => check("inp", 0.2));
});
