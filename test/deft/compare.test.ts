// One measurement and the same draws for all methods, exact network calls, mean and deviation, methods that cannot.
import { expect, test } from "vitest";
import { defineAlgorithm, pictures, type Algorithm } from "../../src/deft/algorithms/algorithm.ts";
import { algorithmNames, algorithms } from "../../src/deft/algorithms/index.ts";
import { Comparison, meanRow, type Method } from "../../src/deft/compare.ts";
import { compareFields } from "../../src/deft/config/compare.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { summarise } from "../../src/deft/evaluate.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { makeTask } from "../../src/deft/task.ts";
import { affine, type Engine } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { schedule } from "./algorithms/setting.ts";
import { gaussianDenoiser, type Gaussian } from "./algorithms/gaussian.ts";

const SIDE = 8;
const pixels = (f: (i: number) => number) => Array.from({ length: SIDE * SIDE }, (_, i) => f(i));
const gaussian: Gaussian = {
  shape: [1, SIDE, SIDE],
  mean: pixels((i) => 0.5 * Math.sin(1.3 * i)),
  variance: pixels((i) => 0.05 + 0.12 * ((7 * i) % 11)),
};
const data = {
  name: "waves",
  length: 5,
  channels: 1,
  side: SIDE,
  get: (k: number) => Promise.resolve(Float32Array.from(pixels((i) => Math.sin(0.7 * i + k)))),
} as const;

const method = (algorithm: Algorithm, steps: number, options: object = algorithm.defaults): Method => ({
  algorithm,
  options,
  ts: timesteps(1000, 0, steps),
});

interface Seen {
  readonly y: Promise<Float32Array>;
  readonly drawn: Promise<Float32Array>;
}

/** Notes the measurement and its first draw, and makes pictures of the draw. */
function spy(name: string, seen: Seen[]): Algorithm {
  return defineAlgorithm(name, 1, {}, (p) => {
    const drawn = p.engine.noGrad(() => p.engine.scope(() => affine(p.draws.normal(pictures(p)), 1, 0)));
    seen.push({ y: p.y.read(), drawn: drawn.read() });
    return Promise.resolve(drawn);
  });
}

function setting(engine: Engine, methods: readonly Method[], samples: number) {
  const { config } = resolveConfig(["model=phantoms", "algo.deg=sr2", "algo.sigma_y=0.2"]);
  const prior = Object.assign(gaussianDenoiser(engine, schedule, gaussian), { release: () => undefined });
  let clock = 0;
  const comparison = new Comparison(
    {
      ...{ engine, schedule, prior, samples },
      task: makeTask(config, SIDE, 1, null),
      seed: 3,
      warmUp: true,
      metricBytes: 0,
      now: () => (clock += 0.5),
    },
    methods,
  );
  return { comparison, prior };
}

test("all methods get the same measurement and the same draws; each sample draws anew", async () => {
  const engine = await testEngine();
  const [a, b]: [Seen[], Seen[]] = [[], []];
  const { comparison } = setting(engine, [method(spy("a", a), 4), method(spy("b", b), 4)], 3);
  const before = engine.device.pool.stats.live;
  const result = await comparison.batch(data, 1, 2);
  await engine.device.queue.idle();
  expect(engine.device.pool.stats.live).toBe(before);
  // One run that compiles, three samples.
  const read = (seen: Seen[]) =>
    Promise.all(seen.map(async ({ y, drawn }) => ({ y: await y, drawn: await drawn })));
  const [ofA, ofB] = [await read(a), await read(b)];
  expect(ofA).toHaveLength(4);
  expect(ofB).toEqual(ofA);
  for (const { y } of ofA) expect(y).toEqual(result.measurement.values);
  const drawn = ofA.slice(1).map((s) => s.drawn);
  expect(drawn[1]).not.toEqual(drawn[0]);
  expect(result.pictures.get("a")).toEqual(drawn[0]);
  // Mean and deviation of three numbers each.
  const [mean, deviation] = [result.pictures.get(meanRow("a")), result.deviations.get("a")];
  for (let i = 0; i < 2 * SIDE * SIDE; i++) {
    const values = drawn.map((d) => d[i] as number);
    const m = values.reduce((s, v) => s + v, 0) / 3;
    expect(mean?.[i]).toBeCloseTo(m, 6);
    expect(deviation?.[i]).toBeCloseTo(Math.sqrt(values.reduce((s, v) => s + (v - m) ** 2, 0) / 2), 6);
  }
  // The clock moves by half a second from reading to reading: three samples of two pictures.
  expect(comparison.costs.get("a")?.secondsPerImage).toBeCloseTo(0.25, 12);
});

test("network calls of a sample are exact, whatever the batches; the table has a row for samples and means", async () => {
  const engine = await testEngine();
  const { ddim, dps, ddrm, identity, reddiff_parallel: parallel } = algorithms;
  const methods = [
    method(ddim, 2),
    method(dps, 5),
    method(ddrm, 4, { ...ddrm.defaults, sigmaY: 0.1 }),
    method(parallel, 8),
    method(identity, 8),
  ];
  const { comparison, prior } = setting(engine, methods, 2);
  const batches = [await comparison.batch(data, 0, 2), await comparison.batch(data, 2, 1)];
  const calls = Object.fromEntries([...comparison.costs].map(([name, cost]) => [name, cost.calls.prior]));
  expect(calls).toEqual({ ddim: 2, dps: 5, ddrm: 4, reddiff_parallel: 2, identity: 0 });
  // Two samples in two batches, and a run of two steps that compiles for each size of batch.
  expect(prior.calls).toBe(4 * (2 + 5 + 4 + 2) + 2 * (2 + 2 + 2 + 1));
  expect([...comparison.costs.values()].every(({ peakBytes }) => peakBytes > 0)).toBe(true);
  const table = summarise(batches);
  expect([...table.keys()]).toEqual([
    ...["ddim", "ddim_mean", "dps", "dps_mean", "ddrm", "ddrm_mean"],
    ...["reddiff_parallel", "reddiff_parallel_mean", "identity"],
  ]);
  // A A† y = y.
  expect(table.get("identity")?.consistency).toBeGreaterThan(90);
});

test("a picture's samples do not depend on its batch", async () => {
  const engine = await testEngine();
  const run = async (first: number, count: number) => {
    const { comparison } = setting(engine, [method(algorithms.ddrm, 4)], 2);
    const { pictures, measurement } = await comparison.batch(data, first, count);
    return { y: measurement.values, x: pictures.get("ddrm_mean") as Float32Array };
  };
  const [whole, last] = [await run(1, 3), await run(3, 1)];
  expect(last.y).toEqual(whole.y.slice((2 * SIDE * SIDE) / 4));
  last.x.forEach((v, i) => expect(v).toBeCloseTo(whole.x[2 * SIDE * SIDE + i] as number, 5));
});

test("a method that cannot do the task is left out with its reason; other failures are not hidden", async () => {
  const engine = await testEngine();
  const refuse = (error: Error) => defineAlgorithm("no", 1, {}, () => Promise.reject(error));
  const { comparison } = setting(
    engine,
    [method(refuse(new UserError("no: sr2 has no such thing")), 4), method(algorithms.identity, 4)],
    1,
  );
  const { pictures: restored, deviations } = await comparison.batch(data, 0, 2);
  expect([...restored.keys()]).toEqual(["identity"]);
  expect(deviations.size).toBe(0);
  expect([...comparison.leftOut]).toEqual([["no", "sr2 has no such thing"]]);
  const broken = setting(engine, [method(refuse(new RangeError("broken")), 4)], 1).comparison;
  await expect(broken.batch(data, 0, 2)).rejects.toThrow("broken");
});

test("a method that fails later loses its row alone", async () => {
  const engine = await testEngine();
  let runs = 0;
  const late = defineAlgorithm("late", 1, {}, (p) => {
    if (++runs > 2) throw new UserError("late: the loss is NaN at iteration 10");
    return Promise.resolve(p.engine.noGrad(() => p.draws.normal(pictures(p))));
  });
  const { comparison } = setting(engine, [method(late, 4), method(algorithms.identity, 4)], 1);
  const batches = [await comparison.batch(data, 0, 2), await comparison.batch(data, 2, 2)];
  expect(batches.map(({ scores }) => [...scores.keys()])).toEqual([["late", "identity"], ["identity"]]);
  expect([...comparison.leftOut]).toEqual([["late", "the loss is NaN at iteration 10"]]);
  expect([...summarise(batches).keys()]).toEqual(["identity"]);
  expect(comparison.methods.map(({ algorithm }) => algorithm.name)).toEqual(["identity"]);
  expect([...comparison.costs.keys()]).toEqual(["identity"]);
});

test("every algorithm can be compared, and every option of the configuration is one of its own", () => {
  expect([...algorithmNames].sort()).toEqual(["deft", "deft_soc", ...Object.keys(algorithms)].sort());
  for (const [name, algorithm] of Object.entries(algorithms)) {
    const { num_steps: steps, ...own } = compareFields[name as keyof typeof algorithms];
    expect(steps.default).toBe(null);
    const camel = Object.keys(own).map((k) => k.replace(/_(\w)/g, (_, c: string) => c.toUpperCase()));
    const known = Object.keys(algorithm.defaults);
    // The noise of the measurement is the task's.
    expect(camel.sort()).toEqual(known.filter((k) => k !== "sigmaY").sort());
  }
});
