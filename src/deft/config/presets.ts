import type { Algorithm } from "../algorithms/algorithm.ts";
import { algorithms, type AlgorithmName } from "../algorithms/index.ts";
import { settable } from "../algorithms/options.ts";
import { bareWord } from "./degradation.ts";
import type { Value } from "./fields.ts";

/** Values by key that stand where the user leaves a key open. */
export type Preset = { readonly [key: string]: Value };

/** Side of the pictures that the embedded priors draw. The weight file's own metadata goes before it. */
export const EMBEDDED_SIDE = 32;

/**
 * The embedded priors: weight file under assets/, and the network to train where there is no file yet. Eight groups, since with ADM's
 * 32 the top level's 32 channels would each lose its mean, and with it the picture's mean colour.
 */
const embeddedNetwork: Preset = {
  "model.image_size": EMBEDDED_SIDE,
  "model.num_channels": 32,
  "model.channel_mult": [1, 2, 4, 4],
  "model.norm_groups": 8,
  "model.num_res_blocks": 1,
  "model.attention_resolutions": [8, 4],
  "model.num_head_channels": 32,
  "model.resblock_updown": false,
  "model.learn_sigma": false,
};

/** The public ADM configurations (Dhariwal & Nichol 2021), and FFHQ's of Chung et al. 2022. */
const adm256: Preset = {
  "model.image_size": 256,
  "model.num_channels": 256,
  "model.num_res_blocks": 2,
  "model.attention_resolutions": [32, 16, 8],
  "model.num_head_channels": 64,
  "model.learn_sigma": true,
};

/** What each `model=` sets. */
export const modelPresets: { readonly [model: string]: Preset } = {
  embedded: embeddedNetwork,
  phantoms: {
    ...embeddedNetwork,
    "model.in_channels": 1,
    "model.channel_mult": [1, 2, 2],
    "model.attention_resolutions": [8],
  },
  imagenet256_uncond: adm256,
  imagenet256_cond: { ...adm256, "model.class_cond": true },
  imagenet512_cond: { ...adm256, "model.image_size": 512, "model.class_cond": true },
  ffhq256_uncond: {
    ...adm256,
    "model.num_channels": 128,
    "model.num_res_blocks": 1,
    "model.attention_resolutions": [16],
  },
};

/** Weight files that come with the program, by model, under assets/. */
export const shippedPriors: { readonly [model: string]: string } = {
  embedded: "prior-embedded.safetensors",
  phantoms: "prior-phantoms.safetensors",
};

/** What each `htransform_model=` sets over the schema's defaults. */
export const htransformPresets: { readonly [name: string]: Preset } = {
  default: {},
  embedded: {
    "htransform_model.num_channels": 32,
    "htransform_model.channel_mult": [1, 1],
    "htransform_model.norm_groups": 8,
    "htransform_model.attention_resolutions": [],
    "htransform_model.resblock_updown": false,
    "htransform_model.init_scaling_bias": 1,
    "htransform_model.scale_output": true,
    "algo.scale_guidance": true,
  },
};

/** The size of a run with a shipped prior: it ends within five minutes on two cores without a GPU (measured in docs/architecture.md). */
export const embeddedRun: Preset = {
  "algo.finetune_args.batch_size": 4,
  "algo.finetune_args.max_steps": 250,
  "algo.finetune_args.lr": 2.5e-3,
  "algo.finetune_args.alpha_bar_power": 1,
  "algo.finetune_args.timestep_power": 0.25,
  "algo.finetune_args.save_every_steps": 100,
  "algo.val_args.batch_size": 8,
  "algo.val_args.num_steps": 8,
  "algo.val_args.eta": 1,
  "algo.val_args.use_ema": true,
  "algo.val_args.sample_freq": -1,
  "algo.ema.update_after_step": 100,
  "loader.batch_size": 12,
  "exp.num_steps": 8,
  "exp.smoke_test": 1,
};

/** What each `likelihood=` sets; `sr{k}` stands under `sr`. */
export const likelihoodPresets: { readonly [likelihood: string]: Preset } = {
  sr: { "likelihood.forward_op.noise_std": 0 },
  inp: { "likelihood.forward_op.noise_std": 0.1 },
  hdr: { "likelihood.forward_op.noise_std": 0.1 },
  ct: { "likelihood.forward_op.noise_std": 0.1, "likelihood.forward_op.num_angles": 60 },
  phase_retrieval: { "likelihood.forward_op.noise_std": 0, "likelihood.forward_op.oversample": 2 },
  blur: { "likelihood.forward_op.noise_std": 0 },
  plain: { "likelihood.forward_op.noise_std": 0 },
};

/** The options of an algorithm with their defaults for a degradation; an option of another algorithm is not there. */
export function algorithmPreset(name: AlgorithmName, deg: string): Preset {
  if (name === "deft" || name === "deft_soc") return {};
  const algorithm: Algorithm = algorithms[name];
  const defaults = algorithm.defaultsFor(bareWord(deg)) as { readonly [option: string]: Value };
  return Object.fromEntries(
    settable(algorithm.fields).map(([option, key]) => [`algo.${key}`, defaults[option] as Value]),
  );
}

/** The model that a data set asks for where `model=` is left open, by what the user wrote. */
const modelOfData: readonly (readonly [RegExp, string])[] = [
  [/^imagenet512/, "imagenet512_cond"],
  [/^imagenet/, "imagenet256_uncond"],
  [/^ffhq/, "ffhq256_uncond"],
  [/^(phantoms|aapm|lodopab)$/, "phantoms"],
];

/** The prior for a `dataset=` or `loader=` choice as written; the embedded one for pictures of the user's own. */
export function modelFor(choice: string): string {
  return modelOfData.find(([pattern]) => pattern.test(choice))?.[1] ?? "embedded";
}

/** The data set that a model learned from. */
export function datasetFor(model: string): "embedded" | "phantoms" | "imagenet" | "ffhq" {
  if (model.startsWith("imagenet")) return "imagenet";
  if (model.startsWith("ffhq")) return "ffhq";
  return model === "phantoms" ? "phantoms" : "embedded";
}

const LEVELS: readonly (readonly [side: number, mult: readonly number[]])[] = [
  [512, [0.5, 1, 1, 2, 2, 4, 4]],
  [256, [1, 1, 2, 2, 4, 4]],
  [128, [1, 1, 2, 3, 4]],
  [64, [1, 2, 3, 4]],
  [32, [1, 2, 4]],
  [16, [1, 2]],
  [0, [1]],
];

/**
 * channel_mult for a side where none is named: the spec's (section 2) for 512, 256, 128 and 64, those of the
 * next smaller side elsewhere, without the levels that the side cannot be halved down to.
 */
export function defaultChannelMult(side: number): readonly number[] {
  const mult = LEVELS.find(([from]) => side >= from)?.[1] ?? [1];
  let levels = 1;
  while (levels < mult.length && side % 2 ** levels === 0) levels++;
  return mult.slice(0, levels);
}
