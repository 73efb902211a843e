// Every degradation through training and evaluation, from its word in the configuration.
import { describe, expect, test } from "vitest";
import { conditioningChannels } from "../../src/deft/config/degradation.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { Batches } from "../../src/deft/batches.ts";
import type { ImageDataset } from "../../src/deft/dataset.ts";
import { restoreBatch, summarise } from "../../src/deft/evaluate.ts";
import { FineTuning } from "../../src/deft/finetune.ts";
import { KernelWizard, type KernelWizardWeights } from "../../src/deft/kernel-wizard.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { degradations } from "../../src/deft/operators/registry.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { Prior } from "../../src/deft/prior.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { generatedMasks, makeTask, type TaskFiles } from "../../src/deft/task.ts";
import { ParameterSet } from "../../src/nn/parameter.ts";
import { initialise, readState } from "../../src/nn/state.ts";
import { UNet } from "../../src/nn/unet.ts";
import type { Engine } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { smallUNet } from "../helpers/small-network.ts";

const SIDE = 8;
/** Random weights of a network on the host. */
async function weightsOf(engine: Engine, net: { declarations: UNet["declarations"] }, seed: number) {
  const set = new ParameterSet(engine, net.declarations.list, { trainable: true });
  initialise(set, seed);
  const arrays = new Map((await readState(set)).map((a) => [a.name, a]));
  set.dispose();
  return arrays;
}

/** Phantoms in three channels of different contrast. */
function colored(data: ImageDataset): ImageDataset {
  const get = async (i: number) => {
    const grey = await data.get(i);
    return Float32Array.from([...grey, ...grey.map((v) => v / 2), ...grey.map((v) => -v)]);
  };
  return { ...data, length: data.length, side: data.side, name: data.name, channels: 3, get };
}

const kernel = { values: [0.25, 0.5, 0.25], height: 1, width: 3 };
const words = degradations.map(({ word, number }) =>
  number ? `${word}${{ k: 2, q: 50, n: 3 }[number.symbol]}` : word,
);
const composed = [
  "sr2-deno",
  "sr2-inp",
  "deblur_gauss-sr2",
  "hdr-quant4",
  "inp_box-sr2",
  "ct-inp",
  "phase_retrieval-inp_box",
];

describe("training and evaluation", () => {
  test.each([...words, ...composed])("%s", async (deg) => {
    const engine = await testEngine();
    await engine.device.queue.idle();
    const start = engine.device.pool.stats.live;
    const channels = ["color", "deblur_nl"].includes(deg) ? 3 : 1;
    const wizard = new KernelWizard({ features: 2, frontBlocks: 1, backBlocks: 1, kernelChannels: 2 });
    const files: TaskFiles = {
      kernel: deg === "blur" ? kernel : null,
      kernelWizard:
        deg === "deblur_nl" ? ((await weightsOf(engine, wizard, 3)) as KernelWizardWeights) : null,
    };
    const { config } = resolveConfig([
      ...[`algo.deg=${deg}`, `model=${channels === 1 ? "phantoms" : "embedded"}`, "algo.sigma_y=0.1"],
      ...["algo.finetune_args.batch_size=2", "likelihood.forward_op.num_angles=6"],
      ...(deg === "blur" ? ["likelihood.forward_op.kernel_filename=k.npy"] : []),
      ...(deg === "deblur_nl" ? ["likelihood.forward_op.weights=w.safetensors"] : []),
    ]);
    const task = makeTask(config, SIDE, channels, generatedMasks(config, SIDE), files);
    const network = smallUNet(SIDE, channels);
    const arrays = await weightsOf(engine, new UNet(network), 5);
    const schedule = scheduleOf(config.diffusion);
    const source = {
      names: [...arrays.keys()],
      shape: (name: string) => arrays.get(name)?.shape ?? [],
      read: (name: string) => Promise.resolve(arrays.get(name)?.data ?? new Float32Array()),
    };
    const prior = await Prior.load(
      engine,
      { network, prediction: "epsilon", schedule },
      source,
      "test prior",
    );
    const inChannels = conditioningChannels(deg, channels, true);
    const h = { ...network, inChannels, useResidual: true, epsilonBased: true, initScalingBias: 0.001 };
    const fineTuning = new FineTuning({ engine, schedule, prior, network: h, task, config, totalSteps: 3 });
    const grey = phantoms({ side: SIDE, length: 8 });
    const data = channels === 1 ? grey : colored(grey);
    const batches = new Batches(data, { batchSize: 2, seed: 0, shuffle: true, dropLast: true, flip: false });
    let live = 0;
    for (let step = 0; step < 3; step++) {
      const loss = fineTuning.step(await batches.get(step));
      expect(Number.isFinite((await loss.read())[0])).toBe(true);
      loss.dispose();
      if (step === 1) live = engine.device.pool.stats.live;
    }
    expect(engine.device.pool.stats.live, "live bytes from step to step").toBe(live);
    const options = {
      ...{ engine, schedule, prior, task, fineTuning, useAverage: false, eta: 1, seed: 1, samples: 1 },
      ...{ ts: timesteps(1000, 0, 2), evolutionSteps: 0 },
    };
    const restored = await restoreBatch(options, data, 0, 2);
    for (const [method, values] of restored.methods) expect(values.every(Number.isFinite), method).toBe(true);
    const scores = summarise([restored]);
    expect(scores.has("bicubic")).toBe(["sr2", "bicubic2", "sr2-deno"].includes(deg));
    task.release();
    fineTuning.hTransform.release();
    fineTuning.trainer.dispose();
    fineTuning.trainer.set.dispose();
    prior.dispose();
    await engine.device.queue.idle();
    expect(engine.device.pool.stats.live - start, "live bytes at the end").toBe(0);
  });
});

test("a task has masks where pixels are missing, and only there", () => {
  for (const [deg, isMasked] of [
    ["inp_box", true],
    ["sr2-inp", true],
    ["sr2", false],
  ] as const) {
    const { config } = resolveConfig(["model=phantoms", "dataset=phantoms", `algo.deg=${deg}`]);
    const masks = generatedMasks(config, 32);
    expect(makeTask(config, 32, 1, masks).masks).toBe(isMasked ? masks : null);
  }
});
