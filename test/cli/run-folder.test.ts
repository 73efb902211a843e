import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { mergeResumed, resolvePretraining, resolveRun } from "../../src/cli/resolve-run.ts";
import { resolveSampling } from "../../src/cli/resolve-trained.ts";
import {
  atomicWrite,
  configFromYaml,
  configToYaml,
  finishedFolder,
  openRunFolder,
  storedConfig,
} from "../../src/cli/run-folder.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folders = temporaryFolder();
let count = 0;
let root: string;
const freshRoot = () => {
  root = path.join(folders, String(count++));
  mkdirSync(root);
};
beforeEach(freshRoot);
const resolve = (...argv: string[]) => resolveConfig([`exp.root=${root}`, ...argv]).config;
const run = (...argv: string[]) => openRunFolder(resolve(...argv));
const at = (...parts: string[]) => path.join(root, ...parts);
const put = (file: string, text: string) => {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, text);
};

/** Options that decide on the weights that a run ends with: a value, and what it is where nobody says. */
const DECIDING = [
  ["algo.ema.beta", "0.5", "0.999"],
  ["algo.ema.update_every", "3", "10"],
  ["likelihood.convention", "deft", "exact"],
  ["likelihood.forward_op.num_angles", "7", "60"],
] as const;

describe("config.yaml", () => {
  it("reads back as it was written", () => {
    const config = resolve(
      "algo.deg=inp",
      "exp.name=null-1",
      'wandb_config.name="null"',
      "algo.finetune_args.lr=1e-7",
    );
    const yaml = configToYaml(config);
    expect(configFromYaml(yaml, "f")).toEqual(config);
    expect(yaml).toMatch(/channel_mult: \[ ?1, 2, 4, 4 ?\]/);
  });

  it("is refused when it is none", () => {
    for (const text of ["", "- 1", "exp: 3", "exp: {sead: 1}", "exp: {seed: x}", "a: [", "exp:\n\t- x"]) {
      expect(() => configFromYaml(text, "run/config.yaml"), text).toThrow(UserError);
      expect(() => configFromYaml(text, "run/config.yaml")).toThrow(/^run\/config\.yaml: [^\n]*$/);
    }
  });
});

describe("replacing a run", () => {
  it("never deletes what the new one reads", async () => {
    const { path: folder, checkpoints } = await run("exp.name=a");
    put(path.join(folder, "htransform.safetensors"), "weights");
    put(path.join(checkpoints, "checkpoint.safetensors"), "weights");
    const again = (...words: string[]) => run("exp.name=a", "exp.overwrite=true", ...words);
    for (const word of [
      `htransform_model.ckpt_path=${folder}/htransform.safetensors`,
      `exp.checkpoint=${folder}`,
      `model.ckpt_path=${path.relative(".", checkpoints)}/checkpoint.safetensors`,
    ])
      await expect(again(word)).rejects.toThrow(
        `exp.overwrite: ${word} lies in ${word.startsWith("model") ? checkpoints : folder}, which would be deleted; pass another exp.name`,
      );
    expect(existsSync(path.join(folder, "htransform.safetensors"))).toBe(true);
    await again(`exp.checkpoint=${folder}-other`);
    expect(existsSync(path.join(folder, "htransform.safetensors"))).toBe(false);
  });
});

describe("a finished run", () => {
  it("is found, left as it is, and refuses other options", async () => {
    const { path: folder } = await run("exp.name=a", "algo.finetune_args.max_steps=10");
    const find = (...words: string[]) =>
      finishedFolder(resolve("exp.name=a", "exp.resume=true", "algo.finetune_args.max_steps=10", ...words));
    expect(await find()).toBe(null);
    put(path.join(folder, "summary.json"), "{}");
    const before = readFileSync(path.join(folder, "config.yaml"), "utf8");
    expect(await find("exp.logfreq=3")).toBe(folder);
    await expect(find("algo.finetune_args.max_steps=20")).rejects.toThrow(
      `algo.finetune_args.max_steps: ${folder} is finished with 10; got 20; pass another exp.name`,
    );
    for (const [key, value, was] of DECIDING)
      await expect(find(`${key}=${value}`), key).rejects.toThrow(
        `${key}: ${folder} is finished with ${was}; got ${value}`,
      );
    expect(readFileSync(path.join(folder, "config.yaml"), "utf8")).toBe(before);
  });

  it("one that goes on loses what a killed process was writing", async () => {
    const { path: folder, checkpoints } = await run("exp.name=a");
    const parts = [
      path.join(folder, "grid.png.1.0.part"),
      path.join(checkpoints, "checkpoint.safetensors.1.9.part"),
    ];
    for (const part of parts) put(part, "half");
    await run("exp.name=a", "exp.resume=true");
    expect(parts.map((part) => existsSync(part))).toEqual([false, false]);
  });
});

describe("a new run", () => {
  it("with a name", async () => {
    const made = await run("exp.name=a");
    expect(made).toMatchObject({
      name: "a",
      path: at("samples", "a"),
      checkpoints: at("model_ckpts", "a"),
      resumed: false,
    });
    expect(configFromYaml(readFileSync(at("samples", "a", "config.yaml"), "utf8"), "f")).toEqual(made.config);
    expect(readdirSync(made.path)).toEqual(["config.yaml"]);
    const elsewhere = await run("exp.name=b", `exp.ckpt_root=${at("c")}`, "exp.samples_root=s/t");
    expect(elsewhere).toMatchObject({ path: at("s", "t", "b"), checkpoints: at("c", "b") });
  });

  it("without one says the task and counts up, past runs and checkpoints", async () => {
    expect((await run()).name).toBe("sr4-001");
    expect((await run("algo.deg=inp")).name).toBe("inp-001");
    const second = await run();
    expect([second.name, second.config.exp.name]).toEqual(["sr4-002", "sr4-002"]);
    mkdirSync(at("samples", "sr4-009"));
    put(at("model_ckpts", "sr4-010", "x"), "");
    expect((await run()).name).toBe("sr4-011");
  });

  it("several at once get folders of their own", async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => run()));
    expect(new Set(made.map((m) => m.name)).size).toBe(8);
  });

  it("is refused where a run, its checkpoints or other files are", async () => {
    await run("exp.name=a");
    await expect(run("exp.name=a")).rejects.toThrow(
      /exp\.name: the run .* exists; pass --resume .*exp\.overwrite=true/,
    );
    put(at("model_ckpts", "b", "x"), "");
    await expect(run("exp.name=b")).rejects.toThrow(/checkpoints of an earlier run/);
    await expect(run("exp.name=b", "--resume")).rejects.toThrow(/checkpoints of an earlier run/);
    put(at("samples", "thesis", "chapter.tex"), "years");
    for (const extra of ["exp.overwrite=true", "--resume", "exp.seed=1"]) {
      await expect(run("exp.name=thesis", extra)).rejects.toThrow(/it is no run/);
    }
    expect(readFileSync(at("samples", "thesis", "chapter.tex"), "utf8")).toBe("years");
  });

  it("takes a folder that a killed process left empty", async () => {
    mkdirSync(at("samples", "a"), { recursive: true });
    expect((await run("exp.name=a")).resumed).toBe(false);
    put(at("samples", "b", "config.yaml.1.0.part"), "exp:");
    expect((await run("exp.name=b", "--resume")).resumed).toBe(false);
  });

  it("names never lead out of the folder, and a root that cannot be is named", async () => {
    const config = resolve();
    for (const name of ["..", "../x", "a/b", "", "a\0b"]) {
      await expect(openRunFolder({ ...config, exp: { ...config.exp, name } })).rejects.toThrow(/exp\.name/);
    }
    writeFileSync(at("file"), "");
    const refused = (...words: string[]) => expect(openRunFolder(resolve(...words))).rejects;
    const file = `${at("file")} is a file, not a folder; pass`;
    await refused(`exp.root=${at("file")}`).toThrow(`exp.root: ${file} exp.root=FOLDER`);
    for (const name of ["exp.name=x", "exp.seed=1"])
      await refused(`exp.ckpt_root=${at("file")}`, name).toThrow(
        `exp.ckpt_root: ${file} exp.ckpt_root=FOLDER`,
      );
    put(at("samples", "a"), "");
    await refused("exp.name=a").toThrow(
      `exp.name: ${at("samples", "a")} is a file, not a folder; pass another`,
    );
    await expect(storedConfig(resolve(`exp.ckpt_root=${at("file")}`, "exp.name=x"))).rejects.toThrow(
      /^exp\.ckpt_root: .*file.* cannot be read or written \(ENOTDIR\); pass exp\.ckpt_root=FOLDER$/,
    );
    expect(readdirSync(root).sort()).toEqual(["file", "samples"]);
  });
});

describe("overwrite", () => {
  const fill = async () => {
    await run("exp.name=a", "exp.seed=1");
    put(at("samples", "a", "old.png"), "old");
    put(at("model_ckpts", "a", "old.safetensors"), "old");
  };

  it("replaces the run and its checkpoints, and leaves nothing aside", async () => {
    await fill();
    const made = await run("exp.name=a", "exp.seed=2", "exp.overwrite=true");
    expect(made.resumed).toBe(false);
    expect(readdirSync(at("samples", "a"))).toEqual(["config.yaml"]);
    expect(existsSync(at("model_ckpts", "a"))).toBe(false);
    expect([...readdirSync(at("samples")), ...readdirSync(at("model_ckpts"))]).toEqual(["a"]);
  });

  it("of nothing is a new run", async () => {
    expect((await run("exp.name=new", "exp.overwrite=true")).resumed).toBe(false);
  });

  it("cut off anywhere before the new config.yaml stands, gives the old run back", async () => {
    const moveRun = () => renameSync(at("samples", "a"), at("samples", ".a.replaced"));
    const moveCheckpoints = () => renameSync(at("model_ckpts", "a"), at("model_ckpts", ".a.replaced"));
    const cuts: (() => void)[][] = [
      [moveRun],
      [moveRun, moveCheckpoints],
      [moveRun, moveCheckpoints, () => mkdirSync(at("samples", "a"))],
      [moveRun, moveCheckpoints, () => put(at("samples", "a", "config.yaml.9.0.part"), "exp:")],
    ];
    for (const cut of cuts) {
      freshRoot();
      await fill();
      for (const step of cut) step();
      const back = await run("exp.name=a", "--resume");
      expect(back.resumed).toBe(true);
      expect(readFileSync(at("samples", "a", "old.png"), "utf8")).toBe("old");
      expect(readFileSync(at("model_ckpts", "a", "old.safetensors"), "utf8")).toBe("old");
      expect(existsSync(at("samples", ".a.replaced"))).toBe(false);
    }
  });

  it("cut off after it, keeps the new run and drops the old one", async () => {
    await fill();
    renameSync(at("samples", "a"), at("samples", ".a.replaced"));
    renameSync(at("model_ckpts", "a"), at("model_ckpts", ".a.replaced"));
    put(at("samples", "a", "config.yaml"), configToYaml(resolve("exp.name=a", "exp.seed=2")));
    expect((await storedConfig(resolve("exp.name=a")))?.exp.seed).toBe(2);
    expect([...readdirSync(at("samples")), ...readdirSync(at("model_ckpts"))]).toEqual(["a"]);
    expect(existsSync(at("samples", "a", "old.png"))).toBe(false);
  });

  it("works where checkpoints lie in the run's own folder", async () => {
    const same = ["exp.name=a", `exp.ckpt_root=${at("samples")}`];
    await run(...same);
    put(at("samples", "a", "old.png"), "old");
    renameSync(at("samples", "a"), at("samples", ".a.replaced"));
    expect((await run(...same, "--resume")).resumed).toBe(true);
    expect(readFileSync(at("samples", "a", "old.png"), "utf8")).toBe("old");
    await run(...same, "exp.overwrite=true");
    expect(readdirSync(at("samples", "a"))).toEqual(["config.yaml"]);
  });
});

describe("resume", () => {
  it("opens the run, also with exp.overwrite; without a run it is a new one", async () => {
    expect((await run("exp.name=a", "--resume")).resumed).toBe(false);
    put(at("samples", "a", "stats.jsonl"), "{}");
    expect((await run("exp.name=a", "--resume", "exp.overwrite=true")).resumed).toBe(true);
    expect(existsSync(at("samples", "a", "stats.jsonl"))).toBe(true);
  });

  it("says in a line where there is no run to go on with, and the nearest name", async () => {
    const said = async (resolve: typeof resolveRun, ...words: string[]) =>
      (await resolve([`exp.root=${root}`, "--resume", ...words])).warnings;
    const none = (run: string) => `--resume: there is no run ${run} in ${at("samples")} yet; starting anew`;
    expect(await said(resolveRun)).toEqual([none("of sr4")]);
    await openRunFolder((await resolveRun([`exp.root=${root}`, "exp.name=flowers"])).config);
    mkdirSync(at("samples", "folders")); // no run
    expect(await said(resolveRun, "exp.name=flowers")).toEqual([]);
    expect(await said(resolveRun, "exp.name=folwers")).toEqual([
      `${none("folwers")}; the nearest is flowers`,
    ]);
    expect(await said(resolveSampling, "exp.name=flower", "algo=ddim")).toEqual([
      `${none("flower")}; the nearest is flowers`,
    ]);
    expect(await said(resolvePretraining, "exp.name=other")).toEqual([none("other")]);
  });

  it("without a name takes the last run of the task", async () => {
    expect((await run("--resume")).name).toBe("sr4-001");
    await run();
    expect(await run("--resume")).toMatchObject({ name: "sr4-002", resumed: true });
  });

  it("takes what is left open from the earlier run and refuses what would change it", async () => {
    expect(await storedConfig(resolve("exp.name=a"))).toBeNull();
    await run("exp.name=a", "exp.seed=7", "algo.finetune_args.lr=0.01", "algo.deg=sr8");
    const stored = await storedConfig(resolve("exp.name=a", "--resume"));
    const merge = (...argv: string[]) => {
      const { config, explicit } = resolveConfig([`exp.root=${root}`, "exp.name=a", "--resume", ...argv]);
      if (stored === null) throw new Error("nothing stored");
      return mergeResumed(stored, config, explicit);
    };
    expect(merge()).toMatchObject({
      exp: { seed: 7, resume: true },
      algo: { deg: "sr8", finetune_args: { lr: 0.01 } },
    });
    expect(merge("algo.finetune_args.lr=1e-2", "exp.smoke_test=2").exp.smoke_test).toBe(2);
    expect(
      merge("algo.finetune_args.max_steps=9", "--adapter", "lavapipe").algo.finetune_args.max_steps,
    ).toBe(9);
    expect(() => merge("algo.finetune_args.lr=0.02")).toThrow(
      /algo\.finetune_args\.lr: .*got 0\.02; expected 0\.01/,
    );
    expect(() => merge("exp.seed=8")).toThrow(/exp\.seed/);
    for (const [key, value, was] of DECIDING)
      expect(() => merge(`${key}=${value}`), key).toThrow(
        `${key}: the run that --resume goes on with has another value; got ${value}; expected ${was}`,
      );
    expect(() => merge("algo.deg=sr4")).toThrow(/algo\.deg/);
  });

  it("a prior's training too, under the name of the model where none is given", async () => {
    const pretrain = async (...argv: string[]) =>
      (await resolvePretraining([`exp.root=${root}`, "model=phantoms", ...argv])).config;
    await openRunFolder(await pretrain("pretrain.lr=0.01", "model.prediction_type=epsilon"));
    const config = await pretrain("--resume", "pretrain.steps=7");
    expect(config).toMatchObject({
      exp: { name: "prior-phantoms" },
      model: { prediction_type: "epsilon" },
      pretrain: { lr: 0.01, steps: 7 },
    });
    await expect(pretrain("--resume", "pretrain.lr=0.02")).rejects.toThrow(/pretrain\.lr: .*expected 0\.01/);
    await expect(pretrain("--resume", "model.prediction_type=v_prediction")).rejects.toThrow(
      /prediction_type/,
    );
  });

  it("a prior's training has no task that its pictures would have to suit", async () => {
    const { config } = await resolvePretraining(["model.image_size=50", "model.channel_mult=[1,2]"]);
    expect(config.dataset.image_size).toBe(50);
    expect((await resolvePretraining(["diffusion.num_diffusion_timesteps=10"])).warnings).toEqual([]);
  });

  it("refuses to go on with a prior of another kind than the run began with", async () => {
    const start = [`exp.root=${root}`, "exp.name=a"];
    const { config } = await resolveRun(start);
    const other = config.model.prediction_type === "epsilon" ? "v_prediction" : "epsilon";
    await openRunFolder({ ...config, model: { ...config.model, prediction_type: other } });
    await expect(resolveRun([...start, "--resume"])).rejects.toThrow(
      new RegExp(`^model\\.prediction_type: .*expected ${other}`),
    );
  });
});

describe("atomicWrite", () => {
  it("replaces the whole file or nothing", async () => {
    const file = at("deep", "file.txt");
    await atomicWrite(file, "one");
    await atomicWrite(file, new Uint8Array([50]));
    expect(readFileSync(file, "utf8")).toBe("2");
    await expect(atomicWrite(path.join(file, "x"), "")).rejects.toThrow();
    expect(readdirSync(at("deep"))).toEqual(["file.txt"]);
  });
});
