import { describe, expect, it } from "vitest";
import {
  parseDegradation,
  conditioningChannels,
  maskSize,
  maskSizes,
} from "../../src/deft/config/degradation.ts";
import { experimentPresets } from "../../src/deft/config/experiments.ts";
import { helpText } from "../../src/deft/config/help.ts";
import { editDistance, nearestKey } from "../../src/deft/config/nearest.ts";
import { defaultChannelMult, EMBEDDED_SIDE } from "../../src/deft/config/presets.ts";
import { priorMetadata, priorNetwork } from "../../src/deft/config/prior-metadata.ts";
import { configFromObject, resolveConfig } from "../../src/deft/config/resolve.ts";
import { fields, fromConfig, toConfig } from "../../src/deft/config/schema.ts";
import { UserError } from "../../src/deft/errors.ts";

const resolve = (...argv: string[]) => resolveConfig(argv).config;
/** The message with which the words are refused; fails when they are taken, or when it has more than one line. */
function refusal(...argv: string[]): string {
  try {
    resolveConfig(argv);
  } catch (error) {
    expect(error).toBeInstanceOf(UserError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error(`taken: ${argv.join(" ")}`);
}

describe("defaults and presets", () => {
  it("are the embedded prior and its pictures, sized to end soon", () => {
    const c = resolve();
    expect([c.model.name, c.dataset.name, c.finetune_dataset.name]).toEqual(["embedded", "embedded", null]);
    expect([c.model.image_size, c.dataset.image_size, c.htransform_model.image_size]).toEqual(
      Array(3).fill(EMBEDDED_SIDE),
    );
    expect(c.htransform_model).toMatchObject({
      num_channels: 32,
      channel_mult: [1, 1],
      attention_resolutions: [],
    });
    expect(c.algo.finetune_args.max_steps).toBeGreaterThan(0);
    expect(c.algo).toMatchObject({ name: "deft", deg: "sr4", sigma_y: 0 });
    expect(c.likelihood).toMatchObject({ name: "sr4", forward_op: { scale: 4, noise_std: 0 } });
  });

  it("of the public priors are the spec's", () => {
    const c = resolve("model=imagenet256_uncond");
    expect(c.dataset).toMatchObject({ name: "imagenet", image_size: 256, channels: 3 });
    expect(c.model).toMatchObject({
      num_channels: 256,
      num_res_blocks: 2,
      num_head_channels: 64,
      learn_sigma: true,
    });
    expect(c.model.channel_mult).toEqual([1, 1, 2, 2, 4, 4]);
    expect(c.htransform_model).toMatchObject({ num_channels: 64, num_res_blocks: 1, num_head_channels: 16 });
    expect(c.htransform_model.attention_resolutions).toEqual([32, 16]);
    expect(c.algo.finetune_args).toMatchObject({ batch_size: 100, epochs: 100, lr: 1e-3, max_steps: null });
    expect(c.algo.ema).toEqual({ beta: 0.999, update_after_step: 400, update_every: 10 });
    expect(resolve("model=imagenet512_cond").model).toMatchObject({ image_size: 512, class_cond: true });
    expect(resolve("model=ffhq256_uncond").model).toMatchObject({ num_channels: 128, num_res_blocks: 1 });
    expect(resolve("dataset=ffhq").model.name).toBe("ffhq256_uncond");
  });

  it("select the model by the data where none is named", () => {
    for (const word of ["loader=imagenet256_ddrm", "dataset=imagenet", "dataset=imagenet256"]) {
      expect(resolve(word)).toMatchObject({
        model: { name: "imagenet256_uncond" },
        dataset: { name: "imagenet" },
      });
    }
    expect(resolve("dataset=folder", "dataset.root=p")).toMatchObject({ model: { name: "embedded" } });
    expect(resolve("dataset.root=p")).toMatchObject({
      model: { name: "embedded" },
      dataset: { name: "folder" },
    });
    expect(resolve("dataset=phantoms")).toMatchObject({
      model: { name: "phantoms", in_channels: 1 },
      dataset: { channels: 1 },
      htransform_model: { in_channels: 3, out_channels: 1 },
    });
    const own = resolve("model=embedded", "loader=imagenet256_ddrmpp", "dataset.root=p");
    expect(own).toMatchObject({ dataset: { name: "imagenet", image_size: EMBEDDED_SIDE, root: "p" } });
    expect(own.finetune_dataset).toEqual({ name: null, root: null, subset_txt: null });
    const other = (...argv: string[]) => resolve("dataset.root=p", ...argv).finetune_dataset;
    expect(other("finetune_dataset.root=q")).toEqual({ name: "folder", root: "q", subset_txt: null });
    expect(other("finetune_dataset.subset_txt=l")).toEqual({ name: "folder", root: null, subset_txt: "l" });
  });

  it("do not cut short the epochs that the user names", () => {
    expect(resolve("algo.finetune_args.epochs=3").algo.finetune_args).toMatchObject({
      epochs: 3,
      max_steps: null,
    });
    expect(resolve("algo.finetune_args.max_steps=null").algo.finetune_args.max_steps).toBeNull();
    const named = resolve("experiment=sr4", "algo.finetune_args.epochs=3").algo.finetune_args;
    expect(named).toMatchObject({ epochs: 3, max_steps: null });
  });

  it("an experiment names task, prior and size of the run, and goes with no other task", () => {
    const c = resolve("experiment=ct", "algo.finetune_args.max_steps=7");
    expect([c.experiment.name, c.algo.deg, c.likelihood.name, c.model.name]).toEqual([
      "ct",
      "ct",
      "ct",
      "phantoms",
    ]);
    expect(c.likelihood.convention).toBe("pinv");
    expect(c.algo.finetune_args.max_steps).toBe(7);
    expect(resolve("experiment=ct", "likelihood.convention=exact").likelihood.convention).toBe("exact");
    expect(resolve("experiment=deblur_nl").likelihood.forward_op.weights).toBe("random");
    for (const name of Object.keys(experimentPresets))
      expect(resolve(`experiment=${name}`, `algo.deg=${name}`).algo.deg).toBe(name);
    expect(refusal("experiment=phase_retrieval", "likelihood.convention=pinv")).toBe(
      "likelihood.convention: pinv does not serve algo.deg=phase_retrieval, which has no pseudo-inverse at x_t; expected exact or deft",
    );
    expect(refusal("algo.deg=sr2-phase_retrieval", "likelihood.convention=pinv")).toContain(
      "pinv does not serve",
    );
    expect(refusal("model.class_cond=true", "model.num_classes=3", "exp.classes=[1,3]")).toBe(
      "exp.classes: no such class; got 3; expected 0 to 2, the classes of model=embedded",
    );
    expect(refusal("experiment=ct", "algo.deg=sr4")).toBe(
      "experiment: ct is algo.deg=ct; got sr4; leave one of the two out",
    );
    expect(refusal("experiment=ct", "model=embedded")).toMatch(
      /^experiment: ct is model=phantoms; got embedded/,
    );
    expect(refusal("experiment=inp", "likelihood=sr4")).toMatch(
      /^experiment: inp is likelihood=inp; got sr4/,
    );
    expect(refusal("experiment=mri")).toMatch(/^experiment\.name: no such choice; got mri/);
  });

  it("channel_mult follows from the side and can be halved that often", () => {
    expect(defaultChannelMult(512)).toEqual([0.5, 1, 1, 2, 2, 4, 4]);
    expect(defaultChannelMult(128)).toEqual([1, 1, 2, 3, 4]);
    expect(defaultChannelMult(64)).toEqual([1, 2, 3, 4]);
    expect(defaultChannelMult(36)).toEqual([1, 2, 4]);
    expect(defaultChannelMult(34)).toEqual([1, 2]);
    expect(defaultChannelMult(33)).toEqual([1]);
    expect(resolve("model.image_size=64", "model.channel_mult=null").model.channel_mult).toEqual([
      1, 2, 3, 4,
    ]);
  });

  it("every algorithm has its own options", () => {
    expect(resolve("algo=ddim").algo).toMatchObject({ eta: 0.5, sdedit: false, cond_awd: false, awd: null });
    expect(resolve("algo=ddrm").algo).toMatchObject({ eta: 0.85, eta_b: 1 });
    expect(resolve("algo=dps", "algo.deg=inp").algo).toMatchObject({ grad_term_weight: 0.1, original: true });
    expect(resolve("algo=dps").algo).toMatchObject({ grad_term_weight: 1 });
    // What the degradation does to a picture decides, however it is written.
    expect(resolve("algo=dps", "algo.deg=deno-sr4").algo).toMatchObject({ grad_term_weight: 1 });
    expect(resolve("algo=dps", "algo.deg=sr4-inp").algo).toMatchObject({ grad_term_weight: 0.1 });
    expect(resolve("algo=pgdm", "algo.deg=in2_box").algo).toMatchObject({ project: true });
    expect(resolve("algo=pgdm", "algo.deg=hdr-deno").algo).toMatchObject({ contrast_weight: 1500 });
    expect(resolve("algo.lr=0.5", "algo=reddiff").algo).toMatchObject({
      lr: 0.5,
      denoise_term_weight: "linear",
    });
    expect(refusal("algo.eta=1")).toMatch(/^algo\.eta: not an option of algo=deft/);
  });
});

describe("what follows from the task", () => {
  it("input channels of the h-transform", () => {
    const channels = (...argv: string[]) => resolve(...argv).htransform_model.in_channels;
    expect(channels()).toBe(9);
    expect(channels("algo.use_x0hat=false")).toBe(6);
    expect(channels("algo.deg=inp")).toBe(13);
    expect(channels("algo.deg=phase_retrieval")).toBe(15);
    expect(channels("algo.deg=hdr", "htransform_model.in_channels=9")).toBe(9);
    expect(conditioningChannels("ct", 1, false)).toBe(2);
    expect(refusal("htransform_model.in_channels=13")).toMatch(
      /in_channels: .*algo\.deg=sr4.*got 13; expected 9/,
    );
    expect(refusal("htransform_model.out_channels=1")).toMatch(/out_channels: .*got 1; expected 3/);
  });

  it("the operator's options agree with algo.deg", () => {
    expect(resolve("algo.deg=sr8").likelihood).toMatchObject({ name: "sr8", forward_op: { scale: 8 } });
    expect(resolve("algo.deg=sr8", "likelihood.forward_op.scale=8.0").likelihood.forward_op.scale).toBe(8);
    expect(refusal("likelihood.forward_op.scale=2")).toMatch(
      /scale: disagrees with algo\.deg=sr4; got 2; expected 4/,
    );
    expect(resolve("likelihood=inp").algo.deg).toBe("inp");
    expect(resolve("likelihood=sr8").algo.deg).toBe("sr8");
    expect(refusal("likelihood=inp", "algo.deg=sr4")).toMatch(/^likelihood: does not go with algo\.deg=sr4/);
  });

  it("masks", () => {
    const mask = (...argv: string[]) => resolve("algo.deg=inp", ...argv).likelihood.forward_op.mask;
    expect(mask()).toBe("freeform");
    expect(mask("algo.deg=inp_box")).toBe("box");
    expect(mask("likelihood.forward_op.mask=box")).toBe("box");
    expect(mask("likelihood.forward_op.mask_filename=m.npz")).toBe("file");
    expect(refusal("algo.deg=inp_box", "likelihood.forward_op.mask_filename=m.png")).toMatch(
      /mask_filename: not used/,
    );
    expect(refusal("algo.deg=inp", "likelihood.forward_op.mask=file")).toMatch(/mask_filename: not given/);
    // Words of other code name masks that are in a file.
    expect(mask("algo.deg=in2_20ff", "likelihood.forward_op.mask_filename=m.npz")).toBe("file");
    expect(refusal("algo.deg=inp_20ff")).toMatch(
      /mask_filename: not given; expected a mask file with algo.deg=inp_20ff, or a word .*=inp_freeform or inp_box$/,
    );
    expect(resolve("algo.deg=phase_retrieval-inp_box").likelihood.forward_op.mask).toBe("box");
    expect(maskSizes(60, 120, 32)).toEqual({ min: 8, max: 15 });
  });

  it("sigma_y: algo's when given, else the likelihood's; both hold the resolved value", () => {
    const noise = (...argv: string[]) => {
      const c = resolve(...argv);
      expect(c.algo.sigma_y).toBe(c.likelihood.forward_op.noise_std);
      return c.algo.sigma_y;
    };
    expect(noise()).toBe(0);
    expect(noise("algo.deg=inp")).toBe(0.1);
    expect(noise("algo.deg=inp", "likelihood.forward_op.noise_std=0.3")).toBe(0.3);
    expect(noise("algo.sigma_y=0.2", "likelihood.forward_op.noise_std=0.3")).toBe(0.2);
    const both = resolveConfig(["algo.sigma_y=0.2", "likelihood.forward_op.noise_std=0.3"]).warnings;
    expect(both.join()).toMatch(/algo\.sigma_y: 0\.2 is used/);
    expect(noise("algo.deg=inp", "algo.sigma_y=null")).toBe(0.1);
  });

  it("files that a degradation needs, and compositions", () => {
    expect(refusal("algo.deg=blur")).toMatch(
      /^likelihood\.forward_op\.kernel_filename: not given; expected a file with algo\.deg=blur/,
    );
    expect(refusal("likelihood.forward_op.weights=w.pt")).toMatch(
      /weights: not used with algo\.deg=sr4; got w\.pt/,
    );
    expect(resolve("algo.deg=blur", "likelihood.forward_op.kernel_filename=k.npy").likelihood.name).toBe(
      "blur",
    );
    expect(resolve("algo.deg=sr2-inp").likelihood).toMatchObject({
      name: "sr2",
      forward_op: { mask: "freeform" },
    });
    expect(maskSize("sr2-inp", [3, 32, 32])).toEqual({ height: 16, width: 16 });
    expect(conditioningChannels("deno-inp", 3, true)).toBe(13);
    expect(refusal("algo.deg=sr4-sr16")).toMatch(
      /sr16 does not divide the image side 8; expected sr2, sr4, sr8/,
    );
    expect(refusal("algo.deg=color-color")).toMatch(/algo\.deg: color: images of 1 channels; expected 3/);
  });

  it("the grammar of algo.deg", () => {
    const parsed = (deg: string) => parseDegradation(deg).map(({ kind, n, mask }) => [kind.word, n, mask]);
    expect(parsed("sr4-deno")).toEqual([
      ["sr", 4, null],
      ["deno", 0, null],
    ]);
    expect(parsed("in2_box")).toEqual([["in2", 0, "box"]]);
    expect(parsed("jpeg20-quant3")).toEqual([
      ["jpeg", 20, null],
      ["quant", 3, null],
    ]);
    for (const deg of ["sr4_box", "hdr4", "inp4", "4", "-sr4", "deno_box", "sr04x"])
      expect(refusal(`algo.deg=${deg}`), deg).toMatch(/algo\.deg: no such degradation/);
    for (const deg of ["sr0", "sr1", "sr"]) expect(refusal(`algo.deg=${deg}`)).toMatch(/sr\{k\}/);
    expect(refusal("algo.deg=jpeg0")).toMatch(/jpeg\{q\}/);
    expect(refusal("algo.deg=quant9")).toMatch(/quant\{n\}/);
    expect(refusal("algo.deg=sr5")).toMatch(
      /sr5 does not divide the image side \d+; expected sr2, sr4, sr8, sr16, sr32/,
    );
    expect(refusal("algo.deg=srr8")).toMatch(/nearest is sr8$/);
    expect(refusal("algo.deg=inp-bx")).toMatch(/algo\.deg/);
    expect(refusal("algo.deg=sr-4")).toMatch(/algo\.deg/);
  });
});

describe("networks that cannot be built are refused", () => {
  it.each([
    [["model.num_channels=44"], /^model\.num_channels: 44 channels .* multiple of norm_groups, 8/],
    [
      ["htransform_model.channel_mult=[0.5,1]", "htransform_model.norm_groups=32"],
      /^htransform_model\.num_channels: 16 channels .* multiple of norm_groups, 32/,
    ],
    [
      ["htransform_model.num_head_channels=24"],
      /^htransform_model\.num_head_channels: does not divide the 32/,
    ],
    [
      ["htransform_model.num_head_channels=-1", "htransform_model.num_heads=5"],
      /^htransform_model\.num_heads:/,
    ],
    [["htransform_model.num_head_channels=0"], /num_head_channels: got 0/],
    [["htransform_model.channel_mult=1,1,1,1,1,1,1"], /cannot be halved 6 times/],
    [[`dataset.image_size=${2 * EMBEDDED_SIDE}`], /^dataset\.image_size: disagrees .*; expected \d+$/],
    [["exp.num_steps=1001"], /^exp\.num_steps: .* at most 1000/],
    [["algo.soc.num_steps=1001"], /^algo\.soc\.num_steps: .* at most 1000/],
    [["exp.start_step=10", "exp.end_step=10"], /^exp\.start_step/],
    [["likelihood.forward_op.min_mask_size=121"], /min_mask_size/],
    [["dataset=embedded", "dataset.root=p"], /^dataset\.root: dataset=embedded reads no folder/],
  ])("%j", (argv, message) => expect(refusal(...argv)).toMatch(message));
});

describe("the prior's weight file states its network", () => {
  const trained = resolve("model.image_size=64", "model.channel_mult=[1,2,2]", "algo.deg=sr8");
  const network = priorNetwork(new Map(Object.entries(priorMetadata(trained))));

  it("which then rules, side and all", () => {
    const { config } = resolveConfig(["algo.deg=sr32"], network);
    expect(config.model).toMatchObject({ image_size: 64, channel_mult: [1, 2, 2], name: "embedded" });
    expect([config.dataset.image_size, config.htransform_model.image_size]).toEqual([64, 64]);
    expect(resolveConfig(["model.image_size=null"], network).config.model.image_size).toBe(64);
    expect(() => resolveConfig(["model.num_channels=64"], network)).toThrow(
      /trained with another value; got 64; expected 32/,
    );
  });

  it("and its schedule", () => {
    const cosine = resolve("diffusion=cosine1000", "diffusion.num_diffusion_timesteps=400");
    const stated = priorNetwork(new Map(Object.entries(priorMetadata(cosine))));
    const { diffusion, exp } = resolveConfig([], stated).config;
    expect(diffusion).toEqual(cosine.diffusion);
    expect(exp.start_step).toBe(400);
    expect(resolveConfig(["diffusion=cosine1000"], stated).config.diffusion).toEqual(cosine.diffusion);
    expect(() => resolveConfig(["diffusion=quad1000"], stated)).toThrow(
      /^diffusion\.beta_schedule: the prior's weight file was trained with another value; got quad; expected cosine/,
    );
  });

  it("and nothing where it states none; lies are refused", () => {
    expect(priorNetwork(new Map())).toEqual({});
    expect(priorNetwork(new Map([["deft.model", '{"later":1}']]))).toEqual({});
    for (const lie of [
      "{",
      "[]",
      "7",
      '{"num_channels":"many"}',
      '{"channel_mult":[1,-2]}',
      '{"image_size":{}}',
    ]) {
      expect(() => priorNetwork(new Map([["deft.model", lie]]))).toThrow(UserError);
    }
  });
});

describe("the schema", () => {
  it("turns into a tree and back", () => {
    const config = resolve("algo.deg=inp", "exp.name=a b");
    expect(toConfig(fromConfig(config))).toEqual(config);
    expect(configFromObject(JSON.parse(JSON.stringify(config)))).toEqual(config);
    expect(configFromObject({ exp: { name: "null" } }).exp.name).toBe("null");
    expect(() => configFromObject({ exp: { sead: 1 } })).toThrow(/exp\.sead/);
    expect(() => configFromObject({ exp: 3 })).toThrow(/exp/);
    expect(() => configFromObject([])).toThrow(UserError);
    expect(() => configFromObject({ exp: { seed: "x" } })).toThrow(/exp\.seed/);
  });

  it("explains every key, and every default can be given", () => {
    const help = helpText("usage");
    for (const [key, field] of fields) {
      expect(help).toContain(`  ${key} (`);
      expect(field.help.length, key).toBeGreaterThan(5);
      const value = field.default;
      const raw = Array.isArray(value)
        ? { items: value.map((v: number) => ({ text: String(v), quoted: false })) }
        : { text: String(value), quoted: false };
      expect(field.parse(key, raw), key).toEqual(value);
    }
    const some = helpText("usage", (key) => key === "exp.resume");
    expect(some).toContain("--resume");
    expect(some).not.toMatch(/--checkpoint|algo\.deg|exp\.name \(/);
  });

  it("nearest keys", () => {
    expect(editDistance("sead", "seed")).toBe(1);
    expect(editDistance("", "abc")).toBe(3);
    expect(editDistance("lodaer", "loader")).toBe(1);
    expect(nearestKey("exp.sead", fields.keys())).toBe("exp.seed");
    expect(nearestKey("seed", fields.keys())).toBe("exp.seed");
    expect(nearestKey("finetune_args.epoch", fields.keys())).toBe("algo.finetune_args.epochs");
  });
});
