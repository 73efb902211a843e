// The command's configuration, the methods it makes of it, and the files of a comparison.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, test } from "vitest";
import { compared } from "../../src/cli/compare-run.ts";
import { tableOf } from "../../src/cli/compare-table.ts";
import { batchesOf, forecast, setUpComparison } from "../../src/cli/comparison-setup.ts";
import { saveComparedPictures, writeComparison } from "../../src/cli/compare-results.ts";
import { resolveComparison } from "../../src/cli/resolve-trained.ts";
import { configToYaml, openRunFolder } from "../../src/cli/run-folder.ts";
import { transformNetwork, withRunWeights } from "../../src/cli/train-setup.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { HTransform } from "../../src/deft/htransform.ts";
import { phantoms } from "../../src/deft/phantoms.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import { writeWeights } from "../../src/io/weights.ts";
import { randomArray } from "../helpers/check-op.ts";
import { Engine, openDevice } from "../../src/tensor/index.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { testEngine } from "../helpers/engine.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const SIDE = 32;

/** The folder of a finished run: its configuration, and an h-transform of small random weights. */
async function trainedRun(...words: string[]): Promise<string> {
  const folder = temporaryFolder();
  const { config } = resolveConfig(["model=phantoms", "algo.val_args.eta=0.7", ...words]);
  writeFileSync(path.join(folder, "config.yaml"), configToYaml(config));
  const { declarations } = new HTransform(transformNetwork(config, 1));
  const weights = declarations.list.map(({ name, shape }, k) => {
    const data = randomArray(
      shape.reduce((a, b) => a * b, 1),
      k,
      -0.02,
      0.02,
    );
    return { name, shape, dtype: "F32" as const, data };
  });
  await writeWeights(path.join(folder, "htransform.safetensors"), weights);
  return folder;
}

const refused = (...words: string[]) => expect(resolveComparison(words)).rejects;

describe("the configuration", () => {
  test("takes task, networks and pictures from the checkpoint, and has its own run", async () => {
    const run = await trainedRun("algo.deg=hdr", "algo.sigma_y=0.3", "exp.name=trained", "exp.seed=9");
    const { config } = await resolveComparison(["--checkpoint", run, "compare.num_steps=5"]);
    expect(config.algo).toMatchObject({ deg: "hdr", sigma_y: 0.3, val_args: { eta: 0.7 } });
    expect(config.model.name).toBe("phantoms");
    expect(config.exp).toMatchObject({ name: null, seed: 0, checkpoint: run });
    expect(config.compare).toMatchObject({ num_steps: 5, num_samples: 4 });
    expect(config.htransform_model.ckpt_path).toBe(path.join(run, "htransform.safetensors"));
  });

  test("samples the range of the run's schedule", async () => {
    const run = await trainedRun("algo.deg=sr4", "diffusion.num_diffusion_timesteps=400");
    const { config } = await resolveComparison(["--checkpoint", run]);
    expect(config.diffusion.num_diffusion_timesteps).toBe(400);
    expect(config.exp.start_step).toBe(400);
    await refused("--checkpoint", run, "compare.num_steps=500").toThrow(
      "compare.num_steps: more steps than the schedule has; got 500; expected at most 400",
    );
  });

  test("takes the run's other weights where algo.val_args.use_ema says so", async () => {
    const run = await trainedRun("algo.deg=sr4", "algo.val_args.use_ema=false");
    const weights = async (...words: string[]) =>
      (await resolveComparison(["--checkpoint", run, ...words])).config.htransform_model.ckpt_path;
    // Left open it is as the run had it, whatever the default.
    for (const words of [[], ["algo.val_args.use_ema=false"]])
      expect(await weights(...words)).toBe(path.join(run, "htransform.safetensors"));
    await refused("--checkpoint", run, "algo.val_args.use_ema=true").toThrow(
      `algo.val_args.use_ema: ${run} holds no htransform_ema.safetensors`,
    );
    writeFileSync(path.join(run, "htransform_ema.safetensors"), "");
    expect(await weights("algo.val_args.use_ema=true")).toBe(path.join(run, "htransform_ema.safetensors"));
  });

  test("refuses what the checkpoint was not trained for, in one line", async () => {
    const run = await trainedRun("algo.deg=sr4");
    await refused(`exp.checkpoint=${run}`, "algo.deg=inp").toThrow(
      `algo.deg: ${run} was not trained for inp; expected sr4, or a checkpoint of that task`,
    );
    await refused(`exp.checkpoint=${run}`, "algo.sigma_y=0.5").toThrow("algo.sigma_y:");
    await refused(`exp.checkpoint=${run}`, "model=embedded").toThrow("model.name:");
  });

  test("refuses folders without a finished run, unknown algorithms, and what belongs to other commands", async () => {
    const empty = temporaryFolder();
    await refused("--checkpoint", empty).toThrow(`--checkpoint: ${empty} holds no config.yaml`);
    writeFileSync(path.join(empty, "config.yaml"), "");
    await refused("--checkpoint", empty).toThrow("holds no htransform.safetensors");
    await refused("compare.algorithms=deft,dsp").toThrow(
      "compare.algorithms: wrong value; got deft,dsp; expected names joined by commas",
    );
    await refused("compare.algorithms=dps,dps").toThrow("each once");
    await refused("compare.num_samples=0").toThrow("compare.num_samples");
    await refused("compare.dps.num_steps=2000").toThrow("compare.dps.num_steps: more steps than");
    await refused("compare.ddrm.lr=1").toThrow("compare.ddrm.lr: no such key");
    await refused("algo=dps").toThrow("algo: compare takes its algorithms from compare.algorithms");
    await refused("--resume").toThrow("exp.resume: compare always starts anew");
  });
});

test("compare.first leaves the pictures before it out, and says how many there are", () => {
  const data = phantoms({ side: SIDE, length: 10 });
  const batches = (...words: string[]) => {
    const { config } = resolveConfig(["loader.batch_size=4", ...words]);
    return batchesOf(config, data, config.compare.first);
  };
  expect(batches("exp.smoke_test=0")).toEqual([
    [0, 4],
    [4, 4],
    [8, 2],
  ]);
  expect(batches("exp.smoke_test=0", "compare.first=3")).toEqual([
    [3, 4],
    [7, 3],
  ]);
  expect(batches("exp.smoke_test=1", "compare.first=9")).toEqual([[9, 1]]);
  expect(() => batches("compare.first=10")).toThrow(
    "compare.first: phantoms holds out 10 pictures; got 10; expected at most 9",
  );
});

test("a comparison with a checkpoint: calls, options, files; what cannot is named", async () => {
  const [run, root] = [
    await trainedRun("algo.deg=hdr", "algo.sigma_y=0.2"),
    path.join(temporaryFolder(), "results"),
  ];
  const { config } = await resolveComparison([
    ...["--checkpoint", run, `exp.root=${root}`, "compare.algorithms=deft,dps,ddrm,identity"],
    ...["compare.num_steps=2", "compare.dps.num_steps=4", "compare.dps.eta=0.5", "compare.num_samples=2"],
  ]);
  const engine = await testEngine();
  const task = makeTask(config, SIDE, 1, generatedMasks(config, SIDE));
  const data = phantoms({ side: SIDE, length: 2 });
  const { comparison } = await withRunWeights(config, (weights) =>
    setUpComparison(engine, { config, task, channels: 1, side: SIDE, weights, ...compared(config) }),
  );
  const folder = await openRunFolder(config, "compare-hdr");
  const batch = await comparison.batch(data, 0, 2);
  await saveComparedPictures(folder.path, data, batch);
  const gpu = { kind: "lavapipe" as const, name: "<adapter>", line: "adapter: it" };
  await writeComparison({
    folder,
    gpu,
    task,
    data,
    batches: [batch],
    comparison,
    leftOut: comparison.leftOut,
  });

  expect(path.basename(folder.path)).toBe("compare-hdr-001");
  const text = (name: string) => readFileSync(path.join(folder.path, name), "utf8");
  const json = JSON.parse(text("comparison.json")) as {
    methods: {
      name: string;
      options: object;
      network_calls: object;
      gpu_peak_bytes: number;
      mean?: object;
    }[];
  };
  expect(json).toMatchObject({ task: "hdr", sigma_y: 0.2, pictures: 2 });
  expect(json).toMatchObject({
    left_out: { ddrm: "hdr has no singular value decomposition; take pgdm, dps or reddiff for it" },
  });
  const of = Object.fromEntries(json.methods.map((method) => [method.name, method]));
  expect(Object.keys(of)).toEqual(["deft", "dps", "identity"]);
  expect(of["deft"]).toMatchObject({
    options: { eta: 0.7 },
    network_calls: { prior: 2, own: 2 },
    samples: 2,
  });
  expect(of["dps"]).toMatchObject({ options: { eta: 0.5 }, network_calls: { prior: 4, own: 0 }, steps: 4 });
  expect(of["identity"]).toMatchObject({ network_calls: { prior: 0, own: 0 }, samples: 1 });
  expect(of["identity"]).not.toHaveProperty("mean");
  // Going back through the prior takes memory, A†y nearly none beside the prior.
  expect(of["dps"]?.gpu_peak_bytes).toBeGreaterThan(of["identity"]?.gpu_peak_bytes as number);

  const markdown = text("comparison.md");
  expect(markdown).toMatch(/^\| dps, mean of 2 \|/m);
  expect(markdown).toContain("Left out: ddrm (hdr has no singular value decomposition");
  expect(markdown).toContain("LPIPS (metrics.lpips_path and originals)");
  const html = text("comparison.html");
  expect(html).toContain("&lt;adapter&gt;");
  expect(html).not.toMatch(/<script|(src|href)="(?!data:)/);
  // Two pictures: originals and measurements in three grids, and 3 + 2 + 2 methods.
  expect(html.match(/<img/g)).toHaveLength(2 * (3 * 2 + 3 + 2 + 2));
  expect(
    readdirSync(path.join(folder.path, "pictures"))
      .filter((f) => f.startsWith("00001"))
      .sort(),
  ).toEqual(
    ["deft", "deft_mean", "deft_std", "deg", "dps", "dps_mean", "dps_std", "identity", "ori"].map(
      (name) => `00001_${name}.png`,
    ),
  );
  expect(readdirSync(folder.path)).toContain("grid.png");
});

test("without a checkpoint deft is left out by name; the others take half of the noise on [-1, 1]", async () => {
  const { config } = await resolveComparison([
    ...["model=phantoms", "algo.deg=sr4", "algo.sigma_y=0.2", "compare.algorithms=deft,ddrm"],
  ]);
  const engine = await testEngine();
  const task = makeTask(config, SIDE, 1, null);
  const { comparison, leftOut } = await withRunWeights(config, (weights) =>
    setUpComparison(engine, { config, task, channels: 1, side: SIDE, weights, ...compared(config) }),
  );
  expect([...leftOut.keys()]).toEqual(["deft"]);
  expect(leftOut.get("deft")).toContain("--checkpoint RUN_FOLDER");
  expect(comparison.methods.map(({ options }) => options)).toEqual([{ sigmaY: 0.1, eta: 0.85, etaB: 1 }]);
});

test("with a prior in float16 what takes its gradient is left out", async () => {
  const { config } = await resolveComparison([
    ...["model=phantoms", "algo.deg=sr4", "compare.algorithms=dps,ddrm,pgdm", "model.use_fp16=true"],
    ...["compare.num_steps=2"],
  ]);
  const engine = await testEngine();
  const task = makeTask(config, SIDE, 1, null);
  const { comparison } = await withRunWeights(config, (weights) =>
    setUpComparison(engine, { config, task, channels: 1, side: SIDE, weights, ...compared(config) }),
  );
  await comparison.batch(phantoms({ side: SIDE, length: 1 }), 0, 1);
  expect([...comparison.leftOut.keys()]).toEqual(engine.device.half ? ["dps", "pgdm"] : []);
  for (const reason of comparison.leftOut.values())
    expect(reason).toMatch(/^model\.use_fp16: .*leave it out$/);
});

test("memory is foretold to a tenth, and a task that nothing can do is refused there", async () => {
  const words = ["model=phantoms", "compare.num_steps=3", "loader.batch_size=3", "exp.smoke_test=1"];
  const setting = async (...more: string[]) => {
    const { config } = await resolveComparison([...words, ...more]);
    return { config, task: makeTask(config, SIDE, 1, generatedMasks(config, SIDE)) };
  };
  const data = phantoms({ side: SIDE, length: 4 });
  const device = await openDevice(await testAdapter());
  const peaks = async (...more: string[]) => {
    const { config, task } = await setting(...more);
    return withRunWeights(config, async (weights) => {
      const parts = { config, task, channels: 1, side: SIDE, weights, ...compared(config) };
      const batches = batchesOf(config, data);
      const { peak } = await forecast(device, parts, data, batches);
      device.pool.resetPeak();
      const { comparison } = await setUpComparison(new Engine(device), parts);
      for (const [first, count] of batches) await comparison.batch(data, first, count);
      return { foretold: peak, used: device.pool.stats.peak };
    });
  };
  const { foretold, used } = await peaks("algo.deg=sr4", "compare.algorithms=dps,ddrm");
  expect(Math.abs(foretold / used - 1)).toBeLessThan(0.1);
  await expect(peaks("algo.deg=hdr", "compare.algorithms=deft,ddrm")).rejects.toThrow(
    "compare.algorithms: none of them can do this task; deft: no trained h-transform was given",
  );
  device.destroy();
});

test("what a method learned counts once, for one sample and for the mean", () => {
  const scores = { psnr: 20, ssim: 0.5, consistency: 30 };
  const calls = (n: number) => ({ prior: n, own: n });
  const cost = {
    ...{ calls: calls(2), secondsPerImage: 1, peakBytes: 1024 },
    learning: { calls: calls(10), secondsPerImage: 5 },
  };
  const method = { name: "deft_soc", options: {}, steps: 2, samples: 3, cost };
  const { heads, rows } = tableOf([{ ...method, sample: scores, mean: { ...scores }, deviation: 0.1 }]);
  const cells = (head: string) => rows.map((row) => row[heads.indexOf(head)]?.text);
  expect(cells("network calls")).toEqual(["12 + 12", "16 + 16"]);
  expect(cells("s/image")).toEqual(["6.00", "8.00"]);
});

test("options of sample are not those of the table", async () => {
  await refused("algo.deg=sr4", "algo.lr=1").toThrow(
    "algo.lr: for deft sample; expected compare.ALGORITHM.lr",
  );
});
