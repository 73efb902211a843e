// Groups of keys that the schema is made of and that stand in several places, or are long.
import { algorithms } from "../algorithms/index.ts";
import { settable } from "../algorithms/options.ts";
import { bool, int, number, numbers, oneOf, optional, text, type Field, type Value } from "./fields.ts";

/** Keys that the prior, the h-transform and the classifier share: the ADM UNet (spec, section 2). */
export const network = {
  image_size: optional(
    int(256, "side of the pictures; null: follows the model and its weight file", { min: 4, max: 4096 }),
  ),
  channel_mult: optional(
    numbers([], "channels of each level as multiples of num_channels; null: follows the side"),
  ),
  num_res_blocks: int(1, "residual blocks a level", { min: 1, max: 16 }),
  norm_groups: int(32, "groups of the norms; ADM: 32, fewer suit networks of few channels", {
    min: 1,
    max: 64,
  }),
  num_heads: int(4, "attention heads where num_head_channels is -1", { min: 1, max: 64 }),
  num_heads_upsample: int(-1, "attention heads of the decoder; -1: num_heads", { min: -1, max: 64 }),
  use_scale_shift_norm: bool(true, "time enters as scale and shift of the norm"),
  resblock_updown: bool(true, "residual blocks resample, instead of convolutions"),
  use_new_attention_order: bool(false, "channel order of qkv: q,k,v first instead of heads first"),
  use_fp16: bool(false, "torso in float16"),
  dropout: number(0, "dropout in residual blocks", { min: 0, max: 0.99 }),
};

export const datasetFields = (follow: string) => ({
  name: oneOf(
    ["embedded", "phantoms", "folder", "imagenet", "ffhq", "aapm", "lodopab"],
    "embedded",
    `which pictures${follow}`,
    {
      imagenet256: "imagenet",
      imagenet512: "imagenet",
      imagenet256_val: "imagenet",
      imagenet256_train: "imagenet",
      ffhq256: "ffhq",
    },
  ),
  root: optional(text("", `folder of the pictures, class sub-folders or not${follow}`)),
  subset_txt: optional(text("", `list of the pictures to take, one path under root a line${follow}`)),
});

/**
 * Options of the algorithms beside DEFT, each once, as `sample` takes them (`algo.*`); null: the algorithm's default for the task.
 * `compare` has them for each algorithm (compare.ts).
 */
export const samplerOptions: { readonly [key: string]: Field<Value> } = Object.fromEntries(
  Object.values(algorithms)
    .flatMap(({ fields }) => settable(fields))
    .map(([, key, field]) => [key, optional(field)]),
);
