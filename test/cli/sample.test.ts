// `deft sample`: what it takes, what it draws with each algorithm, what it leaves, classes and guidance, resuming.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, test, vi } from "vitest";
import { checkInputs } from "../../src/cli/check-inputs.ts";
import { resolveSampling } from "../../src/cli/resolve-trained.ts";
import { openSource, sampleOn } from "../../src/cli/sample-run.ts";
import type { Summary } from "../../src/cli/sample-results.ts";
import { seededDraws } from "../../src/deft/algorithms/draws.ts";
import { algorithms } from "../../src/deft/algorithms/index.ts";
import { openBatch } from "../../src/deft/evaluate.ts";
import { classifierConfig, priorConfig, scheduleOf } from "../../src/deft/networks.ts";
import { Prior } from "../../src/deft/prior.ts";
import { priorMetadata } from "../../src/deft/config/prior-metadata.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Config } from "../../src/deft/config/schema.ts";
import { guidedPredict } from "../../src/deft/guidance.ts";
import { sampleDdim } from "../../src/deft/sample.ts";
import { timesteps } from "../../src/deft/schedule.ts";
import { readWhole, writePng } from "../../src/io/images.ts";
import { openWeights, weightSource, writeWeights } from "../../src/io/weights.ts";
import { EncoderUNet, UNet } from "../../src/nn/unet.ts";
import { ParameterSet, type Declarations } from "../../src/nn/parameter.ts";
import { loadWeights } from "../../src/nn/state.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { errorsOf, runProgram } from "../helpers/program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const gpu = { kind: "lavapipe" as const, name: "it", line: "adapter: it" };
const folder = temporaryFolder();
const SMALL = ["model=phantoms", "exp.num_steps=3", "loader.batch_size=2", "exp.smoke_test=1"];
let printed: string[] = [];
let runs = 0;

beforeAll(() => {
  vi.spyOn(console, "log").mockImplementation((line: string) => void printed.push(line));
  vi.spyOn(process.stdout, "write").mockImplementation(() => true);
});

const refused = (...words: string[]) => expect(resolveSampling(words)).rejects;

/** Runs the command on the engine of the tests; its folder, summary and printed lines. */
async function sample(...words: string[]): Promise<{ run: string; summary: Summary; lines: string[] }> {
  const root = path.join(folder, `run-${runs++}`);
  const { config } = await resolveSampling([`exp.root=${root}`, "exp.name=it", ...words]);
  return sampleWith(config);
}

async function sampleWith(config: Config): Promise<{ run: string; summary: Summary; lines: string[] }> {
  printed = [];
  const { data, task } = await openSource(config);
  await sampleOn({ engine: await testEngine(), gpu }, config, data, task);
  task.release();
  const run = path.join(config.exp.root, config.exp.samples_root, config.exp.name ?? "");
  const text = readFileSync(path.join(run, "summary.json"), "utf8");
  return { run, summary: JSON.parse(text) as Summary, lines: printed };
}

describe("the configuration", () => {
  test("without a task ddim draws from the prior alone; with one it does not", async () => {
    expect((await resolveSampling(["algo=ddim"])).config.sample.unconditional).toBe(true);
    expect((await resolveSampling(["algo=ddim", "algo.deg=sr4"])).config.sample.unconditional).toBe(false);
    const { config } = await resolveSampling(["algo=ddim", "experiment=ct"]);
    expect(config).toMatchObject({ algo: { deg: "ct" }, sample: { unconditional: false } });
    await refused("algo=dps").toThrow("algo.deg: no task given; pass algo.deg=TASK");
    await refused("algo=dps", "sample.unconditional=true").toThrow("algo=dps restores a measurement");
  });

  test("what is missing or foreign is named in a line", async () => {
    await refused().toThrow("algo: deft samples with a trained h-transform; pass --checkpoint RUN_FOLDER");
    await refused("algo=dps", "algo.deg=sr4", "algo.lr=1").toThrow("algo.lr: not an option of algo=dps");
    await refused("algo=ddim", "exp.classes=[-1]").toThrow("exp.classes: wrong value; got [-1]");
    await refused("algo=deft_soc", "algo.deg=sr4", "htransform_model.ckpt_path=h").toThrow("deft_soc learns");
    await refused("--resume").toThrow("exp.resume: which run is not said");
    const { config } = await resolveSampling(["algo=ddim", "exp.smoke_test=0"]);
    await expect(openSource(config)).rejects.toThrow("exp.smoke_test: drawings from the prior have no end");
    const soc = await resolveSampling([...SMALL, "algo=deft_soc", "algo.deg=sr4", "algo.soc.picture=100"]);
    await expect(openSource(soc.config)).rejects.toThrow("algo.soc.picture: no such picture; got 100");
  });

  test("drawings from a public prior need no pictures", async () => {
    const file = path.join(temporaryFolder(), "public.safetensors");
    await writeWeights(file, [{ name: "some", shape: [1], dtype: "F32", data: new Float32Array(1) }], {});
    const words = ["algo=ddim", "model=imagenet256_uncond", `model.ckpt_path=${file}`];
    checkInputs((await resolveSampling(words)).config);
    const { config } = await resolveSampling([...words, "algo.deg=sr4"]);
    expect(() => checkInputs(config)).toThrow("dataset.root: dataset=imagenet needs a folder");
  });

  test("the options of an algorithm are those that it is run with", async () => {
    const { config } = await resolveSampling([
      ...["algo=pgdm", "algo.deg=hdr", "algo.eta=0.5", "algo.project=true"],
    ]);
    expect(config.algo).toMatchObject({ eta: 0.5, project: true, contrast_weight: 1500, lr: null });
  });
});

describe("samples", () => {
  test("dps: those of the algorithm, with companions, scores and summary", async () => {
    const words = ["algo=dps", "algo.deg=sr4", "algo.sigma_y=0.1", "algo.grad_term_weight=0.3"];
    const { run, summary, lines } = await sample(
      ...[...SMALL, ...words, "sample.num_samples=2", "exp.seed=5", "exp.smoke_test=2"],
      ...["exp.save_ori=true", "exp.save_deg=true", "exp.save_evolution=true"],
    );
    expect(summary).toMatchObject({
      ...{ task: "sr4", sigma_y: 0.1, algorithm: "dps", samples: 2, pictures: 4, seed: 5, steps: 4 },
      options: { gradTermWeight: 0.3, eta: 0, original: true },
      network_calls: { prior: 4, own: 0 },
    });
    expect(Object.keys(summary.metrics)).toEqual(["dps", "dps_mean"]);
    expect(lines.find((line) => line.startsWith("memory: "))).toMatch(/MiB of GPU memory at most/);
    expect(readdirSync(path.join(run, "pictures")).filter((f) => f.startsWith("00003"))).toEqual(
      ["", "_deg", "_evol", "_mean", "_ori", "_sample2", "_std"].map((suffix) => `00003${suffix}.png`).sort(),
    );
    expect(existsSync(path.join(run, "grid.png"))).toBe(true);
    // The same picture, through the library.
    const engine = await testEngine();
    const { config } = resolveConfig([...SMALL, ...words, "exp.seed=5"]);
    const { data, task } = await openSource(config);
    const schedule = scheduleOf(config.diffusion);
    const weights = await openWeights("assets/prior-phantoms.safetensors");
    const options = { network: priorConfig(config.model), prediction: "epsilon", schedule } as const;
    const prior = await Prior.load(
      engine,
      { ...options, prediction: config.model.prediction_type ?? "epsilon" },
      weightSource(weights),
      "prior",
    );
    await weights.close();
    const { operator, y, close } = await openBatch({ engine, task, seed: 5 }, data, 2, 2);
    const draws = seededDraws(engine, { seed: 5, sample: 0, first: 2 });
    const ts = timesteps(1000, 0, 3);
    const problem = { engine, schedule, prior: prior.denoise, operator, y, ts, draws };
    const result = await algorithms.dps.sample(problem, { gradTermWeight: 0.3 });
    const values = await result.read();
    result.dispose();
    await close();
    prior.dispose();
    const { data: saved } = await readWhole(path.join(run, "pictures", "00003.png"));
    saved.forEach((v, i) => {
      const want = Math.min(1, Math.max(-1, values[32 * 32 + i] as number));
      expect(Math.abs(v - want)).toBeLessThan(1 / 127);
    });
  });

  test("deft_soc learns for each picture, counts it, and is the same whatever the batch", async () => {
    const words = [
      ...["algo=deft_soc", "algo.deg=sr4", "algo.soc.sigma=0.5", "algo.soc.iterations=2"],
      ...["algo.soc.batch_size=2", "algo.soc.num_steps=3", "exp.save_ori=true"],
    ];
    const two = await sample(...SMALL, ...words);
    expect(two.summary).toMatchObject({
      options: { objective: "relative_entropy", batchSize: 2, iterations: 2 },
      network_calls: { prior: 4, own: 8 },
      // Two iterations of four steps, each run again for its gradient.
      learning: { network_calls: { prior: 16, own: 16 } },
      steps: 4,
    });
    const one = await sample(...SMALL, ...words, "loader.batch_size=1", "exp.smoke_test=2");
    const of = async (run: string) => (await readWhole(path.join(run, "pictures", "00001.png"))).data;
    const [a, b] = [await of(two.run), await of(one.run)];
    a.forEach((v, i) => expect(Math.abs(v - (b[i] as number))).toBeLessThan(2 / 127));
    await expect(sample(...SMALL, "algo=deft_soc", "algo.deg=sr4")).rejects.toThrow("pass algo.soc.sigma");
    await expect(
      sample(...SMALL, "algo=deft_soc", "algo.deg=sr4", "algo.soc.sigma=1", "exp.end_step=10"),
    ).rejects.toThrow("exp.start_step: deft_soc learns the whole chain");
  });

  test("a stopped run goes on: batches that are done are not drawn again, and the summary is that of all", async () => {
    const words = [...SMALL, "algo=ddrm", "algo.deg=sr4", "algo.sigma_y=0.1", "exp.smoke_test=3"];
    const { run, summary } = await sample(...words);
    const [first = "", second = ""] = readFileSync(path.join(run, "scores.jsonl"), "utf8").split("\n");
    // Killed while it wrote the third line.
    writeFileSync(path.join(run, "scores.jsonl"), `${first}\n${second}\n{"first":4,`);
    rmSync(path.join(run, "summary.json"));
    const before = readFileSync(path.join(run, "pictures", "00000.png"));
    writeFileSync(path.join(run, "pictures", "00000.png"), "kept");
    const root = path.dirname(path.dirname(run));
    const go = [`exp.root=${root}`, "exp.name=it", "--resume"];
    const { config } = await resolveSampling(go);
    expect(config.algo).toMatchObject({ name: "ddrm", deg: "sr4", sigma_y: 0.1 });
    const resumed = await sampleWith(config);
    expect(resumed.lines).toContain("resume: 2 of 3 batches are done");
    expect(readFileSync(path.join(run, "pictures", "00000.png"), "utf8")).toBe("kept");
    expect(before.length).toBeGreaterThan(100);
    expect(resumed.summary.metrics).toEqual(summary.metrics);
    expect(resumed.summary.pictures).toBe(6);
    expect((await sampleWith(config)).lines.at(-1)).toMatch(/is finished; nothing to do$/);
    await expect(resolveSampling([...go, "exp.num_steps=9"])).rejects.toThrow("exp.num_steps: the run that");
    writeFileSync(path.join(run, "stats.jsonl"), "");
    await expect(resolveSampling(go)).rejects.toThrow("is no run of deft sample");
  });
});

describe("classes", () => {
  const SIDE = 16;
  const CLASSES = 3;
  const NETWORK = [
    ...[`model.image_size=${SIDE}`, "model.num_channels=32", "model.channel_mult=[1]"],
    ...["model.attention_resolutions=[]", "model.norm_groups=8", "model.class_cond=true"],
    `model.num_classes=${CLASSES}`,
  ];
  const CLASSIFIER = ["classifier.width=64", "classifier.depth=1", "classifier.attention_resolutions=[]"];
  const [priorFile, classifierFile, pictures] = ["prior", "classifier", "pictures"].map((name) =>
    path.join(folder, name),
  ) as [string, string, string];
  const words = [
    ...[`model.ckpt_path=${priorFile}`, `classifier.ckpt_path=${classifierFile}`, ...CLASSIFIER],
    ...[`dataset.root=${pictures}`, "exp.num_steps=3", "loader.batch_size=4", "exp.smoke_test=1"],
  ];

  async function writeNetwork(file: string, { list }: Declarations, metadata = {}): Promise<void> {
    const entries = list.map(({ name, shape }, k) => {
      const [n, fan] = [shape.reduce((a, b) => a * b, 1), shape.slice(1).reduce((a, b) => a * b, 1)];
      const data = randomArray(n, k, -1 / Math.sqrt(fan), 1 / Math.sqrt(fan));
      return { name, shape, dtype: "F32" as const, data };
    });
    await writeWeights(file, entries, metadata);
  }

  beforeAll(async () => {
    const { config } = resolveConfig([...NETWORK, ...CLASSIFIER, "dataset.root=x"]);
    await writeNetwork(priorFile, new UNet(priorConfig(config.model)).declarations, priorMetadata(config));
    const sizes = { imageSize: SIDE, inChannels: 3, classes: CLASSES };
    const encoder = new EncoderUNet(classifierConfig(config.classifier, sizes));
    // The layout of the public 256x256_classifier.pt.
    const names = encoder.declarations.list.map(({ name }) => name);
    for (const name of ["positional_embedding", "qkv_proj.weight", "c_proj.bias"])
      expect(names).toContain(`out.2.${name}`);
    expect(names).toContain("input_blocks.0.0.weight");
    await writeNetwork(classifierFile, encoder.declarations);
    // Forty pictures in three folders; every tenth is held out: 0, 10, 20, 30.
    for (const [k, name] of ["ant", "bee", "cat"].entries()) {
      mkdirSync(path.join(pictures, name), { recursive: true });
      for (let i = 0; i < [8, 15, 17][k]!; i++) {
        const file = path.join(pictures, name, `${String(i).padStart(2, "0")}.png`);
        const data = randomArray(3 * SIDE * SIDE, 100 * k + i, -1, 1);
        await writePng(file, { data, channels: 3, height: SIDE, width: SIDE });
      }
    }
  });

  test("come from the data set's folders, reach prior and guidance, and are counted in top-1", async () => {
    const { run, summary, lines } = await sample("algo=ddim", "algo.deg=sr4", "classifier.scale=2", ...words);
    expect(summary.classes).toEqual([0, 1, 1, 2]);
    expect(lines).toContain("classifier: guides with scale 2");
    expect(summary.metrics["ddim"]?.top1).toBeGreaterThanOrEqual(0);
    const engine = await testEngine();
    const { config } = await resolveSampling(["algo=ddim", "algo.deg=sr4", ...words]);
    const schedule = scheduleOf(config.diffusion);
    const load = async (file: string) => {
      const weights = await openWeights(file);
      return { source: weightSource(weights), close: () => weights.close() };
    };
    const own = await load(priorFile);
    const prior = await Prior.load(
      engine,
      { network: priorConfig(config.model), prediction: "epsilon", schedule },
      own.source,
      "prior",
    );
    await own.close();
    const other = await load(classifierFile);
    const sizes = { imageSize: SIDE, inChannels: 3, classes: CLASSES };
    const classifier = new EncoderUNet(classifierConfig(config.classifier, sizes));
    const set = new ParameterSet(engine, classifier.declarations.list, { trainable: false });
    await loadWeights(set, other.source);
    await other.close();
    const draws = seededDraws(engine, { seed: 0 });
    const labels = [0, 1, 1, 2];
    const [ts, eta, shape] = [timesteps(1000, 0, 3), 0.5, [4, 3, SIDE, SIDE]];
    const guidance = { classifier, labels, strength: 2, isAdaptive: false, ts, eta };
    const result = await sampleDdim({
      ...{ engine, schedule, ts, eta },
      predict: guidedPredict(schedule, prior.labelled(labels), guidance),
      start: draws.normal(shape),
      noise: () => draws.normal(shape),
    });
    const values = await result.read();
    const { data } = await readWhole(path.join(run, "pictures", "00003.png"));
    data.forEach((v, i) => {
      const want = Math.min(1, Math.max(-1, values[3 * data.length + i] as number));
      expect(Math.abs(v - want)).toBeLessThan(1 / 127);
    });
    // Top-1 by hand: the classifier's logits of the clamped pictures at t = 0.
    const clamped = engine.tensor(
      values.map((v) => Math.min(1, Math.max(-1, v))),
      shape,
    );
    const logits = await engine.noGrad(() => classifier.forward(clamped, [0, 0, 0, 0])).read();
    const hits = labels.filter((label, k) => {
      const row = Array.from(logits.slice(k * CLASSES, (k + 1) * CLASSES));
      return row.indexOf(Math.max(...row)) === label;
    });
    expect(summary.metrics["ddim"]?.top1).toBe(hits.length / 4);
  });

  test("one that the classifier does not know is refused", async () => {
    const { config } = resolveConfig([...NETWORK, ...CLASSIFIER, "dataset.root=x"]);
    const [file, sizes] = [
      path.join(folder, "two.safetensors"),
      { imageSize: SIDE, inChannels: 3, classes: 2 },
    ];
    await writeNetwork(file, new EncoderUNet(classifierConfig(config.classifier, sizes)).declarations);
    const own = [...words, "exp.classes=[0,2]", `classifier.ckpt_path=${file}`];
    const ran = await runProgram(folder, ["sample", "algo=ddim", ...own]);
    expect(ran.status).toBe(1);
    expect(errorsOf(ran).join("\n")).toContain(
      "exp.classes: a picture of class 2; expected 0 to 1, the classes of classifier.ckpt_path",
    );
  });

  test("named ones take their place, and change what the prior draws", async () => {
    const draw = async (...more: string[]) => {
      const { run, summary } = await sample("algo=ddim", "classifier.scale=0", ...words, ...more);
      return {
        classes: summary.classes,
        data: (await readWhole(path.join(run, "pictures", "00000.png"))).data,
      };
    };
    const [zero, two] = [await draw("exp.classes=[0,1]"), await draw("exp.classes=2")];
    expect([zero.classes, two.classes]).toEqual([
      [0, 1, 0, 1],
      [2, 2, 2, 2],
    ]);
    expect(two.data).not.toEqual(zero.data);
    // Drawn at random where nobody names them, from the seed.
    const [a, b] = [await draw(), await draw()];
    expect(a).toEqual(b);
    expect(a.classes?.every((c) => c >= 0 && c < CLASSES)).toBe(true);
  });

  test("other algorithms take the prior under the classes and measure with the classifier", async () => {
    for (const algo of ["dps", "reddiff_parallel"]) {
      const { summary, lines } = await sample(`algo=${algo}`, "algo.deg=sr4", ...words);
      expect(lines).toContain("classifier: measures only");
      expect(summary.metrics[algo]).toHaveProperty("top1");
    }
  });

  test("train and restore take them", async () => {
    const root = path.join(folder, "trained");
    const more = ["algo.deg=sr4", "algo.finetune_args.max_steps=2", "algo.finetune_args.batch_size=3"];
    const deft = async (...own: string[]) => {
      const ran = await runProgram(folder, own);
      return { status: ran.status, errors: errorsOf(ran).join("\n") };
    };
    const given = ["train", ...words, ...more, `exp.root=${root}`, "exp.name=it"];
    expect(await deft(...given)).toEqual({ status: 0, errors: "" });
    const run = path.join(root, "samples", "it");
    const { classes } = JSON.parse(readFileSync(path.join(run, "summary.json"), "utf8")) as Summary;
    expect(classes).toEqual([0, 1, 1, 2]);
    expect((await deft(...given, "exp.classes=[0,1]")).errors).toContain(
      "exp.classes: train takes one class for all pictures; got [0,1]",
    );
    expect((await deft(...given, "--resume", "exp.classes=2")).errors).toContain("deft: exp.classes: ");
    const file = path.join(folder, "small.png");
    await writePng(file, { data: randomArray(3 * 16, 1), channels: 3, height: 4, width: 4 });
    const to = (out: string, ...own: string[]) =>
      deft("restore", file, "--checkpoint", run, "--out", path.join(folder, out), ...own);
    expect((await to("none")).errors).toContain(
      "exp.classes: none given; model=embedded draws pictures of a class; pass exp.classes=[NUMBERS]",
    );
    expect((await to("none", "exp.classes=7")).errors).toContain("exp.classes: no such class; got 7");
    expect(await to("a", "exp.classes=0")).toEqual({ status: 0, errors: "" });
    expect((await to("b", "exp.classes=1")).status).toBe(0);
    const [a, b] = await Promise.all(["a", "b"].map((out) => readWhole(path.join(folder, out, "small.png"))));
    expect(a?.data).not.toEqual(b?.data);
  });

  test("pictures without classes, and classes that the prior does not know, are refused", async () => {
    const source = async (...more: string[]) =>
      openSource((await resolveSampling(["algo=ddim", "algo.deg=sr4", ...words, ...more])).config);
    await expect(source("exp.classes=3")).rejects.toThrow(
      "exp.classes: no such class; got 3; expected 0 to 2",
    );
    const flat = path.join(pictures, "ant");
    await expect(source("model.num_classes=2")).rejects.toThrow(/num_classes/);
    const few = { ...(await resolveSampling(["algo=ddim", "algo.deg=sr4", ...words])).config };
    const model = { ...few.model, num_classes: 2 };
    await expect(openSource({ ...few, model })).rejects.toThrow(
      "is of class 2; expected 0 to 1, the classes",
    );
    await expect(source(`dataset.root=${flat}`)).rejects.toThrow(
      "lie in no class folders; model=embedded draws",
    );
    expect(() => checkInputs(resolveConfig(["classifier=imagenet256"]).config)).toThrow(
      "classifier.ckpt_path: classifier=imagenet256 comes without a weight file",
    );
  });
});
