import { bool, int, number, oneOf, optional, text } from "./fields.ts";

/** In place of a weight file: a small network with fixed random weights, for trials. */
export const RANDOM_WEIGHTS = "random";

/** Keys of `likelihood.forward_op`: the options of the degradations, and the files that they read. */
export const forwardOp = {
  scale: optional(number(4, "factor of super-resolution; follows algo.deg", { min: 1 })),
  noise_std: number(
    0,
    "noise of y on [-1, 1] unless algo.sigma_y is given; left open: 0.1 for inp, hdr and ct, else 0",
    { min: 0 },
  ),
  mask: optional(oneOf(["box", "freeform", "file"], "freeform", "where masks come from; follows algo.deg")),
  mask_filename: optional(text("", "mask picture, or .npz of packed masks")),
  mask_key: text("20-30% freeform", "array of the .npz file"),
  min_mask_size: int(60, "least side of a box mask, at side 256", { min: 1 }),
  max_mask_size: int(120, "largest side of a box mask, at side 256", { min: 1 }),
  num_angles: int(60, "angles of the Radon transform over 180 degrees", { min: 1, max: 10_000 }),
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
  weights: optional(
    text(
      "",
      `weight file of the kernel-wizard network for algo.deg=deblur_nl; ${RANDOM_WEIGHTS}: a small one drawn from a fixed seed`,
    ),
  ),
  blur_seed: int(0, "number of the random blur that algo.deg=deblur_nl takes", { min: 0, max: 4294967295 }),
};
