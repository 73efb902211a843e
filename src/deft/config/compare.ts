// Keys of `compare`: which algorithms, how they sample, and options of one of them in place of its own defaults.
import { bool, int, number, optional, text } from "./fields.ts";
import { samplerOptions } from "./groups.ts";

/** Algorithms that `compare` knows, in the order in which they are explained; `deft` comes from a trained run. */
export const comparable = [
  "deft",
  "ddim",
  "ddrm",
  "dps",
  "mcg",
  "pgdm",
  "reddiff",
  "reddiff_parallel",
  "sds",
  "sds_var",
  "identity",
] as const;
export type Comparable = (typeof comparable)[number];

/** The algorithms of `compare.algorithms`. */
export const comparedIn = (list: string): Comparable[] =>
  list.split(",").map((name) => name.trim() as Comparable);

function checkAlgorithms(list: string): string | null {
  const names = comparedIn(list);
  const isFine = names.every((name) => comparable.includes(name)) && new Set(names).size === names.length;
  return isFine ? null : `names joined by commas, each once, of ${comparable.join(", ")}`;
}

const options = {
  ...samplerOptions,
  num_steps: optional(int(1, "sampling steps of this algorithm; null: compare.num_steps", { min: 1 })),
  project: optional(bool(false, "the estimate takes A†y where A sees it")),
  contrast_weight: optional(number(0, "weight of the gradient of the contrast", { min: 0 })),
  parallel: optional(int(1, "timesteps in one network call", { min: 1 })),
};
type Option = keyof typeof options;

/** The options of one algorithm; null: its own default for the task. */
const own = <K extends Option>(...names: readonly K[]) =>
  Object.fromEntries((["num_steps", ...names] as const).map((name) => [name, options[name]])) as Pick<
    typeof options,
    K | "num_steps"
  >;

const distilled = ["lr", "grad_term_weight", "obs_weight", "sigma_x0"] as const;

export const compareFields = {
  algorithms: text(
    "deft,dps,pgdm,reddiff,ddrm,ddim,identity",
    `algorithms of the table, joined by commas: ${comparable.join(", ")}`,
    checkAlgorithms,
  ),
  checkpoint: optional(
    text("", "folder of a finished train run, for deft (--checkpoint); its task is compared"),
  ),
  num_steps: optional(int(1, "sampling steps of every algorithm; null: exp.num_steps", { min: 1 })),
  first: int(0, "first held-out picture to compare on; those before it are left for tuning", { min: 0 }),
  num_samples: int(4, "posterior samples of each picture, behind the mean and the map of deviations", {
    min: 1,
    max: 64,
  }),
  deft: own("eta"),
  ddim: own("eta", "sdedit"),
  ddrm: own("eta", "eta_b"),
  dps: own("grad_term_weight", "eta", "original"),
  mcg: own("grad_term_weight", "eta"),
  pgdm: own("grad_term_weight", "eta", "awd", "project", "contrast_weight"),
  reddiff: own(...distilled, "denoise_term_weight"),
  reddiff_parallel: own(...distilled, "denoise_term_weight", "parallel"),
  sds: own(...distilled),
  sds_var: own(...distilled),
  identity: own(),
};
