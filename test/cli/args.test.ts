import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { checkInputs } from "../../src/cli/check-inputs.ts";
import { main } from "../../src/cli/command-line.ts";
import { compare } from "../../src/cli/commands/compare.ts";
import { pretrain } from "../../src/cli/commands/pretrain.ts";
import { sample } from "../../src/cli/commands/sample.ts";
import { train } from "../../src/cli/commands/train.ts";
import { EMBEDDED_SIDE } from "../../src/deft/config/presets.ts";
import { priorMetadata } from "../../src/deft/config/prior-metadata.ts";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { UserError } from "../../src/deft/errors.ts";
import { writeWeights } from "../../src/io/weights.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const FIRST =
  `algo=deft algo.deg=sr4 exp.name=sr4_deft algo.finetune_args.batch_size=16 algo.finetune_args.epochs=200
  algo.finetune_args.lr=0.0005 algo.val_args.batch_size=10 algo.val_args.sample_freq=5 exp.overwrite=True
  exp.samples_root=samples exp.save_deg=True exp.save_evolution=True exp.save_ori=True exp.seed=3 exp.smoke_test=-1
  htransform_model.in_channels=9 htransform_model.num_channels=32 htransform_model.num_head_channels=16
  htransform_model.out_channels=3 likelihood.forward_op.noise_std=0.0 likelihood.forward_op.scale=4.0
  loader=imagenet256_ddrmpp loader.batch_size=10 dist.num_processes_per_node=1`.split(/\s+/);
const SECOND = [
  ...["--config", "configs/default_config.py:finetuning:imagenet:inp"],
  ...["--config.finetune_model_config.in_channels", "13", "--config.forward_op.noise_std", "0.0"],
  ...["--config.wandb.log", "--config.wandb.name", "finetuning, inp"],
  ...["--config.finetune_model_config.use_residual", "--config.training.lr_annealing"],
  ...["--config.dataset.root", "path/to/imagenet"],
];

const resolve = (...argv: string[]) => resolveConfig(argv).config;
const refusal = (...argv: string[]): string => {
  try {
    resolveConfig(argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    return (error as Error).message;
  }
  throw new Error(`taken: ${argv.join(" ")}`);
};

describe("the two commands of the user's document", () => {
  it("the first", () => {
    const { config, explicit } = resolveConfig(FIRST);
    expect(config.exp).toMatchObject({
      name: "sr4_deft",
      overwrite: true,
      seed: 3,
      smoke_test: -1,
      samples_root: "samples",
    });
    expect(config.exp).toMatchObject({ save_ori: true, save_deg: true, save_evolution: true });
    expect(config.algo.finetune_args).toMatchObject({
      batch_size: 16,
      epochs: 200,
      lr: 0.0005,
      max_steps: null,
    });
    expect(config.htransform_model).toMatchObject({
      in_channels: 9,
      num_channels: 32,
      num_head_channels: 16,
    });
    expect(config.htransform_model.channel_mult).toEqual([1, 1, 2, 2, 4, 4]);
    expect(config).toMatchObject({
      model: { name: "imagenet256_uncond" },
      dataset: { name: "imagenet", root: null, image_size: 256 },
      loader: { name: "imagenet256_ddrmpp", batch_size: 10 },
    });
    expect(explicit.has("loader.name")).toBe(true);
    expect(explicit.has("model.name")).toBe(false);
  });

  it("the second", () => {
    const { config, warnings } = resolveConfig(SECOND);
    expect(config).toMatchObject({
      algo: { name: "deft", deg: "inp", sigma_y: 0, finetune_args: { lr_annealing: true } },
      model: { name: "imagenet256_uncond" },
      htransform_model: { in_channels: 13, use_residual: true },
      dataset: { name: "imagenet", root: "path/to/imagenet" },
      wandb_config: { log: true, name: "finetuning, inp" },
    });
    expect(warnings.filter((line) => line.includes("nothing is sent"))).toHaveLength(1);
  });

  it("with the embedded prior and a folder, in any order", () => {
    const small = [
      "model=embedded",
      "dataset.root=photos",
      "algo.finetune_args.max_steps=3",
      "exp.num_steps=4",
    ];
    for (const argv of [
      [...FIRST, ...small],
      [...small, ...FIRST],
      [...small, ...SECOND.slice(0, -2)],
    ]) {
      const config = resolve(...argv);
      expect(config.model).toMatchObject({ name: "embedded", image_size: EMBEDDED_SIDE });
      expect(config.dataset).toMatchObject({ name: "imagenet", root: "photos", image_size: EMBEDDED_SIDE });
      expect(config.htransform_model).toMatchObject({
        num_channels: 32,
        channel_mult: [1, 1],
        image_size: EMBEDDED_SIDE,
      });
      expect(config.algo.finetune_args.max_steps).toBe(3);
    }
  });
});

describe("overrides", () => {
  it("values: numbers, booleans in any case, null, quotes, lists", () => {
    expect(resolve("exp.seed=3.0", "algo.finetune_args.lr=5e-4")).toMatchObject({ exp: { seed: 3 } });
    for (const word of ["true", "True", "TRUE"])
      expect(resolve(`exp.save_ori=${word}`).exp.save_ori).toBe(true);
    expect(resolve("model.ckpt_path=null").model.ckpt_path).toBeNull();
    expect(resolve("model.ckpt_path='null'").model.ckpt_path).toBe("null");
    expect(resolve('exp.name="my run"').exp.name).toBe("my run");
    expect(resolve("exp.name=123").exp.name).toBe("123");
    expect(resolve("exp.root=a=b").exp.root).toBe("a=b");
    for (const word of ["[1,2]", "1,2", "[1, 2]", '"1,2"', "['1','2']"]) {
      expect(resolve(`htransform_model.channel_mult=${word}`).htransform_model.channel_mult).toEqual([1, 2]);
    }
    expect(
      resolve("htransform_model.attention_resolutions=[]").htransform_model.attention_resolutions,
    ).toEqual([]);
    expect(resolve("+exp.seed=5", "++exp.root=x").exp).toMatchObject({ seed: 5, root: "x" });
  });

  it("the last of two wins, also across styles; explicit ones win over choices wherever they stand", () => {
    expect(resolve("exp.seed=1", "--config.exp.seed", "2", "exp.seed=3").exp.seed).toBe(3);
    expect(resolve("exp.seed=1", "--config.exp.seed=2").exp.seed).toBe(2);
    expect(resolve("algo.deg=sr2", "--config", "f.py:finetuning:imagenet:inp").algo.deg).toBe("sr2");
    expect(
      resolve("htransform_model.num_channels=96", "htransform_model=default").htransform_model.num_channels,
    ).toBe(96);
    expect(resolve("model=imagenet256_uncond", "model=embedded").model.name).toBe("embedded");
    expect(resolve("exp.num_steps=7", "model=embedded").exp.num_steps).toBe(7);
  });

  it.each([
    [["exp.sead=3"], /^exp\.sead: no such key; nearest is exp\.seed/],
    [["algo.finetune_args.lr=fast"], /^algo\.finetune_args\.lr: .*got fast; expected a number above 0/],
    [["algo.finetune_args.lr=0"], /expected a number above 0/],
    [["algo.finetune_args.lr=Infinity"], /expected a number/],
    [["algo.finetune_args.lr=0x10"], /expected a number/],
    [["exp.seed=1.5"], /expected an integer/],
    [["exp.seed=-1"], /at least 0/],
    [["exp.seed=null"], /got null; expected an integer/],
    [["exp.seed=[1]"], /got \[1\]/],
    [["exp.seed="], /got nothing/],
    [["exp.save_ori=yes"], /got yes; expected true or false/],
    [["algo=defd"], /nearest is deft$/],
    [["dataset=imagnet"], /nearest is imagenet$/],
    [["adapter=gpu"], /^adapter: .*expected auto, hardware, lavapipe or swiftshader/],
    [["exp=x"], /^exp: a group, not a key/],
    [["algo.finetune_args=x"], /a group, not a key/],
    [["train"], /^train: not an option/],
    [["exp.name='a"], /the quote is not closed/],
    [["model.channel_mult=[1,2"], /the list is not closed/],
    [["model.channel_mult=[1,a]"], /expected positive numbers/],
    [["exp.name=../../x", "exp.overwrite=true"], /^exp\.name: .*one folder name/],
    [["exp.name=a/b"], /one folder name/],
    [["exp.name=.."], /one folder name/],
    [["exp.name=.hidden"], /one folder name/],
    [["__proto__.x=1"], /no such key/],
    [["constructor=1"], /no such key/],
  ])("refuses %j", (argv, message) => {
    const line = refusal(...argv);
    expect(line).toMatch(message);
    expect(line).not.toContain("\n");
  });
});

describe("flags", () => {
  it("of the program", () => {
    const all = resolveConfig(["--adapter", "lavapipe", "--resume", "--dry-run", "exp.seed=1"]);
    expect(all.config).toMatchObject({ adapter: "lavapipe", exp: { resume: true, seed: 1 } });
    expect(all.flags).toEqual({ help: false, dryRun: true });
    expect(resolve("--adapter=swiftshader").adapter).toBe("swiftshader");
    expect(resolve("--resume", "false").exp.resume).toBe(false);
    expect(resolve("--resume=True").exp.resume).toBe(true);
    expect(resolveConfig(["--help"]).flags.help).toBe(true);
    expect(resolve().adapter).toBeNull();
  });

  it("a boolean takes the next word only if it is true or false", () => {
    expect(resolve("--config.wandb.log", "exp.seed=9")).toMatchObject({
      wandb_config: { log: true },
      exp: { seed: 9 },
    });
    expect(resolve("--config.training.lr_annealing", "False").algo.finetune_args.lr_annealing).toBe(false);
    expect(resolve("--config.wandb.log", "--config.exp.smoke_test", "-1").exp.smoke_test).toBe(-1);
    expect(refusal("--config.wandb.log", "perhaps")).toMatch(/^perhaps: not an option/);
  });

  it("the older style reaches every key and names its own mistakes", () => {
    expect(resolve("--config.training.batch_size=4").algo.finetune_args.batch_size).toBe(4);
    expect(resolve("--config.likelihood.forward_op.noise_std", "0.5").algo.sigma_y).toBe(0.5);
    expect(resolve("--config.dataset", "imagenet").model.name).toBe("imagenet256_uncond");
    expect(resolve("--config=f:finetuning:ffhq:sr8")).toMatchObject({
      algo: { deg: "sr8" },
      dataset: { name: "ffhq" },
    });
    expect(refusal("--config.training.lrr", "1")).toMatch(/nearest is algo\.finetune_args\.lr/);
    expect(refusal("--config.exp.seed")).toMatch(/^--config\.exp\.seed: no value/);
    expect(refusal("--config.exp.seed", "--resume")).toMatch(/no value/);
    expect(refusal("--config", "f.py")).toMatch(/FILE:finetuning:DATA:TASK/);
    expect(refusal("--config", "f:sampling:imagenet:inp")).toMatch(/FILE:finetuning:DATA:TASK/);
    expect(refusal("--config", "f:finetuning:imgnet:inp")).toMatch(/^--config: .*nearest is imagenet/);
    expect(refusal("--config", "f:finetuning:imagenet:inq")).toMatch(/^--config: .*nearest is inp/);
    expect(refusal("--no-such-flag")).toMatch(/^--no-such-flag: no such flag/);
    expect(refusal("--resum")).toMatch(/nearest is --resume/);
  });
});

describe("inputs are checked before any GPU work", () => {
  const folder = temporaryFolder();
  const missing = (...argv: string[]) => {
    try {
      checkInputs(resolve(...argv));
    } catch (error) {
      expect(error).toBeInstanceOf(UserError);
      return (error as Error).message.split("\n");
    }
    return [];
  };

  it("the user's two commands as pasted say which file and what to pass", () => {
    for (const argv of [FIRST, SECOND]) {
      const lines = missing(...argv);
      expect(lines).toHaveLength(2);
      expect(lines[0]).toMatch(/^model\.ckpt_path: .*pass model\.ckpt_path=FILE, or model=embedded/);
      expect(lines[1]).toMatch(/^dataset\.root: .*pass dataset\.root=FOLDER/);
    }
  });

  it("each file that is named", () => {
    const prior = path.join(folder, "prior.safetensors");
    writeFileSync(prior, "");
    mkdirSync(path.join(folder, "photos"));
    const fine = [`model.ckpt_path=${prior}`, `dataset.root=${folder}/photos`];
    expect(missing(...fine)).toEqual([]);
    expect(missing(...fine, "dataset.subset_txt=none.txt")[0]).toMatch(
      /^dataset\.subset_txt: .*got none\.txt/,
    );
    expect(missing(...fine, "finetune_dataset.root=none")[0]).toMatch(/^finetune_dataset\.root: .*got none/);
    expect(missing(...fine, "htransform_model.ckpt_path=none")[0]).toMatch(/^htransform_model\.ckpt_path/);
    expect(missing(...fine, "algo.deg=inp", "likelihood.forward_op.mask_filename=none")[0]).toMatch(
      /mask_filename/,
    );
    expect(missing(`model.ckpt_path=${folder}`)[0]).toMatch(/^model\.ckpt_path: not a file/);
  });
});

describe("the command line", () => {
  afterEach(() => vi.restoreAllMocks());

  async function run(...argv: string[]): Promise<{ out: string; err: string; code: number }> {
    let out = "";
    let err = "";
    vi.spyOn(process.stdout, "write").mockImplementation((text) => ((out += text), true));
    vi.spyOn(console, "log").mockImplementation((text) => void (out += `${text}\n`));
    vi.spyOn(console, "error").mockImplementation((text) => void (err += `${text}\n`));
    const before = process.exitCode;
    process.exitCode = 0;
    await main(argv);
    const code = Number(process.exitCode);
    process.exitCode = before;
    vi.restoreAllMocks();
    return { out, err, code };
  }

  it("refuses options that a command does not read, and leaves them out of its help", async () => {
    const unread = [
      [
        ...([pretrain, "pretrain"] as const),
        "exp.checkpoint=x exp.smoke_test=3 exp.num_steps=3 exp.save_ori=true exp.save_deg=true exp.save_evolution=true exp.classes=1 algo.deg=sr4",
      ],
      [train, "train", "exp.checkpoint=x compare.num_steps=3 sample.num_samples=2 pretrain.steps=3"],
      [
        ...([sample, "sample"] as const),
        "compare.num_steps=3 pretrain.steps=3 algo.finetune_args.max_steps=3 algo.val_args.sample_freq=3",
      ],
      [
        ...([compare, "compare"] as const),
        "sample.num_samples=2 pretrain.steps=3 algo.finetune_args.max_steps=3 algo.val_args.num_steps=3",
      ],
    ] as const;
    for (const [command, name, words] of unread) {
      const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
      await command(["--help"]);
      const help = String(write.mock.calls[0]?.[0]);
      vi.restoreAllMocks();
      expect(help).toContain("exp.seed (");
      expect(help.includes("--checkpoint RUN")).toBe(!words.includes("exp.checkpoint"));
      for (const word of words.split(" ")) {
        const [key = ""] = word.split("=");
        expect(help).not.toContain(`${key} (`);
        await expect(command([word, "--dry-run"])).rejects.toThrow(
          new RegExp(`^${key}: ${name} does not read it; got .*; \\w`),
        );
      }
    }
  });

  it("offers compare no option of sample", async () => {
    const write = vi.spyOn(process.stdout, "write").mockImplementation(() => true);
    await compare(["--help"]);
    const help = String(write.mock.calls[0]?.[0]);
    vi.restoreAllMocks();
    for (const word of ["--resume", "exp.resume (", "exp.save_evolution (", "algo.grad_term_weight ("])
      expect(help).not.toContain(word);
    expect(help).toContain("compare.dps.grad_term_weight (");
    await expect(compare(["--bogus"])).rejects.toThrow(
      /expected KEY=VALUE, --adapter, --checkpoint, --dry-run,/,
    );
  });

  it("names the nearest command, prints help", async () => {
    expect(await run("trian")).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^deft: trian: .*nearest is train\n$/),
    });
    expect(await run("toString")).toMatchObject({ code: 1 });
    expect((await run()).out).toContain("train");
    const help = await run("help", "train");
    expect(help.code).toBe(0);
    expect(help.out).toContain("algo.finetune_args.max_steps (integer | null)");
    expect(help.out).toBe((await run("train", "--help")).out);
    for (const command of ["inspect", "info"])
      for (const words of [
        [command, "--help"],
        [command, "-h"],
        ["help", command],
      ])
        expect(await run(...words)).toMatchObject({
          code: 0,
          out: expect.stringContaining(`deft ${command} `),
          err: "",
        });
    for (const word of ["--version", "-v", "version"])
      expect((await run(word)).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  it("takes options without a command as those of train", async () => {
    for (const words of [["exp.seed=3", "model=phantoms"], SECOND]) {
      const ran = await run(...words, "--dry-run");
      expect(ran.code).toBe(0);
      expect(ran.out).toContain("finetune_args:");
      expect(ran).toEqual(await run("train", ...words, "--dry-run"));
    }
    expect((await run("exp.sead=3")).err).toMatch(/nearest is exp\.seed; all: deft train --help\n$/);
  });

  it("an unknown word is answered in the words of its command", async () => {
    expect((await run("sample", "sample.num_sample=3")).err).toMatch(
      /nearest is sample\.num_samples; all: deft sample --help\n$/,
    );
    expect((await run("pretrain", "step=3")).err).toMatch(
      /nearest is pretrain\.steps; all: deft pretrain --help\n$/,
    );
    expect((await run("train", "--exp.seed=3")).err).toMatch(
      /nearest is exp\.seed; all: deft train --help\n$/,
    );
  });

  it("train --dry-run prints the configuration, with the network of the prior's own file", async () => {
    const folder = temporaryFolder();
    const prior = path.join(folder, "own.safetensors");
    const network = resolve("model.image_size=64", "model.channel_mult=[1,2,2,2]");
    await writeWeights(
      prior,
      [{ name: "a", dtype: "F32", shape: [1], data: new Float32Array(1) }],
      priorMetadata(network),
    );
    const own = await run("train", "--dry-run", `model.ckpt_path=${prior}`, "--config.wandb.log");
    expect(own).toMatchObject({ code: 0, err: expect.stringContaining("nothing is sent") });
    expect(own.out).toContain("image_size: 64");
    expect(own.out).toMatch(/channel_mult: \[ ?1, 2, 2, 2 ?\]/);
    writeFileSync(prior, "no weights at all");
    expect(await run("train", "--dry-run", `model.ckpt_path=${prior}`)).toMatchObject({ code: 1 });
  });

  it("train says plainly what it does not do", async () => {
    expect((await run("train", "algo=dps")).err).toMatch(
      /^deft: algo: train trains deft and deft_soc, dps has nothing to train; expected deft sample algo=dps/,
    );
    expect((await run("train", "algo.deg=deblur_nl")).err).toMatch(
      /^deft: likelihood\.forward_op\.weights: not given; expected a file with algo\.deg=deblur_nl/,
    );
    expect((await run("train", "algo.deg=color", "model=phantoms")).err).toMatch(
      /^deft: algo\.deg: color: images of 1 channels; expected 3/,
    );
    const pasted = await run("train", ...FIRST, `exp.root=${temporaryFolder()}`);
    expect(pasted.code).toBe(1);
    expect(pasted.err.trim().split("\n").length).toBeLessThanOrEqual(4);
  });
});
