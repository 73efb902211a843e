import type { Preset } from "./presets.ts";

export interface Experiment {
  /** Its task, algo.deg. */
  readonly deg: string;
  /** The included prior that it runs on. */
  readonly model: "embedded" | "phantoms";
  readonly values: Preset;
}

/** The paper's experiments (Denker et al. 2024, section 4) on the priors that come with the program, by `experiment=`. */
export const experimentPresets: { readonly [experiment: string]: Experiment } = {
  sr4: { deg: "sr4", model: "embedded", values: {} },
  inp: { deg: "inp", model: "embedded", values: {} },
  hdr: { deg: "hdr", model: "embedded", values: {} },
  // Its gradient is taken at the noisy x_t, where no full step helps at the start.
  phase_retrieval: {
    deg: "phase_retrieval",
    model: "embedded",
    values: { "htransform_model.init_scaling_bias": 0.001 },
  },
  deblur_gauss: { deg: "deblur_gauss", model: "embedded", values: {} },
  deblur_nl: { deg: "deblur_nl", model: "embedded", values: { "likelihood.forward_op.weights": "random" } },
  // The filtered residual, the original's own gradient: Aᵀ(y − A x) is blurred, and a small network does not sharpen it.
  ct: {
    deg: "ct",
    model: "phantoms",
    values: { "likelihood.convention": "deft", "algo.finetune_args.max_steps": 200 },
  },
};
