import { describe, expect, test } from "vitest";
import { Batches, drawTimesteps, epochOrder } from "../../src/deft/batches.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { conditioningChannels } from "../../src/deft/config/degradation.ts";
import { restoreBatch, summarise } from "../../src/deft/evaluate.ts";
import { FineTuning } from "../../src/deft/finetune.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { Prior } from "../../src/deft/prior.ts";
import { scheduleOf } from "../../src/deft/networks.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { ParameterSet } from "../../src/nn/parameter.ts";
import { initialise, readState, type WeightSource } from "../../src/nn/state.ts";
import { UNet } from "../../src/nn/unet.ts";
import type { Engine } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { smallUNet } from "../helpers/small-network.ts";

const SIDE = 8;
const network = smallUNet(SIDE, 1);

async function sourceOf(engine: Engine): Promise<WeightSource> {
  const net = new UNet(network);
  const set = new ParameterSet(engine, net.declarations.list, { trainable: true });
  initialise(set, 5);
  const arrays = new Map((await readState(set)).map((a) => [a.name, a]));
  set.dispose();
  return {
    names: [...arrays.keys()],
    shape: (name) => arrays.get(name)?.shape ?? [],
    read: (name) => Promise.resolve(arrays.get(name)?.data ?? new Float32Array()),
  };
}

async function setUp(deg: string, ...args: string[]) {
  const engine = await testEngine();
  const { config } = resolveConfig([
    `algo.deg=${deg}`,
    "algo.finetune_args.batch_size=4",
    "algo.finetune_args.lr=0.002",
    ...args,
  ]);
  const schedule = scheduleOf(config.diffusion);
  const prior = await Prior.load(
    engine,
    { network, prediction: "epsilon", schedule },
    await sourceOf(engine),
    "test prior",
  );
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  const h = {
    ...network,
    inChannels: conditioningChannels(deg, 1, true),
    useResidual: true,
    epsilonBased: true,
    initScalingBias: 0.001,
  };
  const make = () => new FineTuning({ engine, schedule, prior, network: h, task, config, totalSteps: 30 });
  const data = phantoms({ side: SIDE, length: 40 });
  const batches = new Batches(data, { batchSize: 4, seed: 0, shuffle: true, dropLast: true, flip: false });
  return { engine, config, schedule, prior, task, network: h, make, data, batches };
}

const encoded = (data: Float32Array<ArrayBuffer>): string => Buffer.from(data.buffer).toString("base64");

const bits = async (f: FineTuning) => (await readState(f.trainer.set)).map((a) => encoded(a.data)).join();

/** The bits of all that a trainer holds, by name: weights, average, optimiser state. */
const stateOf = async ({ trainer }: FineTuning) =>
  new Map((await trainer.state()).map((a) => [a.name, encoded(a.data)]));

describe("fine-tuning", () => {
  test.each(["sr4", "inp_box"])(
    "%s: learns, leaves the prior as it is, restores pictures, memory flat",
    async (deg) => {
      const s = await setUp(deg);
      const { engine } = s;
      const before = await bits({ trainer: { set: s.prior.parameters } } as unknown as FineTuning);
      const fineTuning = s.make();
      const losses: number[] = [];
      let live = 0;
      for (let step = 0; step < 30; step++) {
        const loss = fineTuning.step(await s.batches.get(step));
        losses.push((await loss.read())[0] as number);
        loss.dispose();
        if (step === 5) live = engine.device.pool.stats.live;
      }
      expect(engine.device.pool.stats.live).toBe(live);
      const mean = (xs: number[]) => xs.reduce((a, b) => a + b, 0) / xs.length;
      expect(mean(losses.slice(20))).toBeLessThan(0.8 * mean(losses.slice(0, 10)));
      expect(await bits({ trainer: { set: s.prior.parameters } } as unknown as FineTuning)).toBe(before);
      const options = {
        engine,
        schedule: s.schedule,
        prior: s.prior,
        task: s.task,
        fineTuning,
        useAverage: true,
        eta: 1,
        ts: timesteps(1000, 0, 3),
        seed: 1,
        samples: 2,
        evolutionSteps: 3,
      };
      await restoreBatch(options, s.data, 0, 3);
      live = engine.device.pool.stats.live; // with the plans of sampling
      const calls = s.prior.calls;
      const restored = await restoreBatch(options, s.data, 0, 3);
      expect(s.prior.calls - calls).toBe(3 * options.ts.length);
      expect(restored.evolution).toHaveLength(3);
      const table = summarise([restored]);
      expect([...table.keys()]).toEqual(
        deg === "sr4"
          ? ["pinv", "bicubic", "prior", "deft", "deft_mean4"]
          : ["pinv", "prior", "deft", "deft_mean4"],
      );
      // Without noise A†y fits y exactly; in-painting adds its own (standard deviation 0.05 on [0, 1]: 26 dB).
      expect(table.get("pinv")?.consistency).toBeGreaterThan(deg === "sr4" ? 80 : 25);
      expect(engine.device.pool.stats.live).toBe(live);
      // A picture's noise follows from its number, not from its batch.
      const alone = await restoreBatch(options, s.data, 2, 1);
      const [a, b] = [
        restored.methods.get("deft") as Float32Array,
        alone.methods.get("deft") as Float32Array,
      ];
      const worst = b.reduce((w, v, i) => Math.max(w, Math.abs(v - (a[2 * SIDE * SIDE + i] as number))), 0);
      expect(worst).toBeLessThan(1e-3);
    },
  );

  test("a restored state goes on to the same bits: weights, average and optimiser state", async () => {
    const ema = ["algo.ema.update_after_step=0", "algo.ema.update_every=1", "algo.ema.beta=0.5"];
    const s = await setUp("sr4", ...ema);
    const whole = s.make();
    for (let step = 0; step < 6; step++) whole.step(await s.batches.get(step)).dispose();
    const first = s.make();
    for (let step = 0; step < 3; step++) first.step(await s.batches.get(step)).dispose();
    const saved = new Map((await first.trainer.state()).map((a) => [a.name, a]));
    const second = s.make();
    const source: WeightSource = {
      names: [...saved.keys()],
      shape: (name) => saved.get(name)?.shape ?? [],
      read: (name) => Promise.resolve(saved.get(name)?.data ?? new Float32Array()),
    };
    await second.trainer.restore(source, 3, "state");
    const start = await stateOf(second);
    for (const [name, { data }] of saved) expect(start.get(name) === encoded(data), name).toBe(true);
    for (let step = 3; step < 6; step++) second.step(await s.batches.get(step)).dispose();
    const [got, want] = [await stateOf(second), await stateOf(whole)];
    expect([...got.keys()]).toEqual([...want.keys()]);
    for (const [name, data] of want) expect(got.get(name) === data, name).toBe(true);
    // Four different things under each weight's name.
    const own = ["model.", "ema_model.", "adam.m.", "adam.v."].map((p) => want.get(`${p}out.2.bias`));
    expect(new Set(own).size).toBe(4);
  });

  test("the prior sees each picture's class, in steps and in the evaluation", async () => {
    const s = await setUp("sr4");
    const data = { ...s.data, label: (index: number) => index };
    const seen: (readonly number[] | null)[] = [];
    const labelled = (labels: readonly number[] | null) => {
      seen.push(labels);
      return s.prior.denoise;
    };
    const prior = Object.assign(Object.create(s.prior) as Prior, { labelled });
    const { engine, config, schedule, task, network: h } = s;
    const fineTuning = new FineTuning({ engine, schedule, prior, network: h, task, config, totalSteps: 2 });
    const options = { batchSize: 4, seed: 0, shuffle: true, dropLast: true, flip: false };
    const batch = await new Batches(data, options).get(1);
    const size = SIDE * SIDE;
    for (const [k, label] of (batch.labels ?? []).entries())
      expect(batch.values.slice(k * size, (k + 1) * size)).toEqual(await data.get(label));
    fineTuning.step(batch).dispose();
    expect(new Set(batch.labels)).toHaveProperty("size", 4);
    expect(seen).toEqual([batch.labels]);
    seen.length = 0;
    const evaluation = {
      ...{ engine, schedule, prior, task, fineTuning, useAverage: false, eta: 0, seed: 0 },
      ...{ ts: timesteps(1000, 0, 2), samples: 1, evolutionSteps: 0 },
    };
    await restoreBatch(evaluation, data, 3, 2);
    expect(seen).toEqual([
      [3, 4],
      [3, 4],
    ]);
    expect((await s.batches.get(0)).labels).toBeNull();
  });
});

describe("draws", () => {
  test("timesteps: one in each part of the range, all of it reached", () => {
    const seen: number[] = [];
    for (let step = 0; step < 2000; step++) {
      const t = [...drawTimesteps(4, 1000, 3, step)];
      expect(new Set(t.map((v) => Math.floor((v - Math.min(...t)) / 250))).size).toBe(4);
      seen.push(t[0] as number);
    }
    expect(Math.min(...seen)).toBeLessThan(10);
    expect(Math.max(...seen)).toBeGreaterThan(989);
    expect(seen.reduce((a, b) => a + b, 0) / seen.length).toBeCloseTo(499.5, -2);
  });

  test("an epoch's order is a permutation that depends on seed and epoch alone", () => {
    const order = [...epochOrder(50, 1, 2, true)];
    expect([...order].sort((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect([...epochOrder(50, 1, 2, true)]).toEqual(order);
    expect([...epochOrder(50, 1, 3, true)]).not.toEqual(order);
  });
});
