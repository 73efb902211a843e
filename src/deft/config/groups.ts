// Groups of keys that the schema is made of and that stand in several places, or are long.
import { bool, int, number, numbers, oneOf, optional, text } from "./fields.ts";

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

/** What degradations are made with. */
export const forwardOperator = {
  scale: optional(number(4, "factor of super-resolution; follows algo.deg", { min: 1 })),
  noise_std: number(0, "noise of y on [-1, 1] unless algo.sigma_y is given", { min: 0 }),
  mask: optional(oneOf(["box", "freeform", "file"], "freeform", "where masks come from; follows algo.deg")),
  mask_filename: optional(text("", "mask picture, or .npz of packed masks")),
  mask_key: text("20-30% freeform", "array of the .npz file"),
  min_mask_size: int(60, "least side of a box mask, at side 256", { min: 1 }),
  max_mask_size: int(120, "largest side of a box mask, at side 256", { min: 1 }),
  num_angles: int(60, "angles of the Radon transform over 180 degrees", { min: 1 }),
  angle_range: number(180, "degrees that the angles are spread over: limited below 180", {
    above: 0,
    max: 180,
  }),
  circle: bool(false, "as many rays as the side, and the disc inside the picture reconstructed"),
  oversample: number(2, "padding of phase retrieval in eighths of the side", { min: 0 }),
  hio_iterations: int(10, "steps of phase retrieval's hybrid input-output estimate", { min: 0 }),
  hio_beta: number(0.9, "feedback of that estimate", { min: 0, max: 2 }),
  kernel_filename: optional(text("", "kernel of algo.deg=blur: .npy of two axes, or a grey picture")),
  padding: oneOf(
    ["reflect", "circular", "replicate", "valid"],
    "reflect",
    "how a picture goes on outside where algo.deg=blur",
  ),
  weights: optional(text("", "weight file of the kernel-wizard network for algo.deg=deblur_nl")),
};
