import type { Preset } from "./presets.ts";

export interface Experiment {
  /** Its task, algo.deg. */
  readonly deg: string;
  /** The included prior that it runs on. */
  readonly model: "embedded" | "phantoms";
  readonly values: Preset;
}

/** Some five minutes on two cores. */
const STEPS = { "algo.finetune_args.max_steps": 1000 };

/** The paper's experiments (Denker et al. 2024, section 4) on the priors that come with the program, by `experiment=`. */
export const experimentPresets: { readonly [experiment: string]: Experiment } = {
  sr4: { deg: "sr4", model: "embedded", values: STEPS },
  inp: { deg: "inp", model: "embedded", values: STEPS },
  hdr: { deg: "hdr", model: "embedded", values: STEPS },
  // Its gradient is taken at the noisy x_t, where no full step helps at the start.
  phase_retrieval: {
    deg: "phase_retrieval",
    model: "embedded",
    values: { ...STEPS, "htransform_model.init_scaling_bias": 0.001 },
  },
  // Aᵀ(y − A x) is blurred once more, and a small network does not sharpen it; A†(y − A x) is sharp.
  deblur_gauss: {
    deg: "deblur_gauss",
    model: "embedded",
    values: { ...STEPS, "likelihood.convention": "pinv" },
  },
  // Its network makes a step several times as dear, so it has the embedded prior's 250.
  deblur_nl: { deg: "deblur_nl", model: "embedded", values: { "likelihood.forward_op.weights": "random" } },
  // Back-projection blurs too; its A† is filtered, as the original's own gradient is.
  ct: {
    deg: "ct",
    model: "phantoms",
    values: { ...STEPS, "likelihood.convention": "pinv" },
  },
};
