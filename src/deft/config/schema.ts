import { socOptions } from "../algorithms/deft-soc.ts";
import { algorithmNames } from "../algorithms/index.ts";
import { compareFields } from "./compare.ts";
import { GRAMMAR, parseDegradation } from "./degradation.ts";
import { forwardOp } from "./forward-op.ts";
import {
  bool,
  classNumbers,
  int,
  isField,
  number,
  numbers,
  oneOf,
  optional,
  text,
  type ConfigOf,
  type Field,
} from "./fields.ts";
import type { Tree, Value } from "./fields.ts";
import { experimentPresets } from "./experiments.ts";
import { datasetFields, network, samplerOptions } from "./groups.ts";

/** Expected a folder name, or null when `name` is one: no separators, no `.` or `..`, nothing a file system minds. */
export function checkFolderName(name: string): string | null {
  const plain = /^[^/\\:*?"<>|\p{Cc}]{1,100}$/u.test(name) && !/^[.\s-]|[.\s]$/.test(name);
  return plain ? null : "one folder name: up to 100 characters, no separators, no leading dot or dash";
}

function checkDegradation(deg: string): string | null {
  parseDegradation(deg);
  return null;
}

const alphaBarPower = (value: number) =>
  number(
    value,
    "g of the loss weight 1/alpha_bar_t^g of errors of the noise: 0 = Ho et al. 2020, 1 = errors of v",
    { min: 0, max: 1 },
  );
const timestepPower = (value: number) =>
  number(value, "p of the density alpha_bar_t^p that timesteps are drawn from: 0 = uniform", {
    min: 0,
    max: 4,
  });

/**
 * Every key of the configuration with its type, default, allowed values and help (spec, section 9). `Config`,
 * the checks of the command line, config.yaml and the printed help all come from here. Presets (presets.ts)
 * set what the user leaves open over these defaults.
 */
export const schema = {
  experiment: {
    name: optional(
      oneOf(
        Object.keys(experimentPresets),
        "sr4",
        "an experiment of the paper on an included prior: task, prior and size of the run",
      ),
    ),
  },
  algo: {
    name: oneOf(algorithmNames, "deft", "algorithm of `sample`; `train` trains deft and deft_soc"),
    deg: text(
      "sr4",
      `degradation, the task: ${GRAMMAR.join(", ")}; several, applied in order, are joined by -`,
      checkDegradation,
    ),
    sigma_y: optional(number(0, "noise of y on [-1, 1]; null: likelihood.forward_op.noise_std", { min: 0 })),
    use_x0hat: bool(true, "the h-transform sees the prior's estimate of x0"),
    use_loggrad: bool(true, "the h-transform sees the likelihood's gradient instead of the adjoint of y"),
    scale_guidance: bool(
      false,
      "that gradient times a factor of t with which a gate of 1 is a step onto the measurement",
    ),
    finetune_args: {
      batch_size: int(100, "pictures a step", { min: 1 }),
      shuffle: bool(true, "new order each epoch"),
      drop_last: bool(true, "leave out an epoch's last, smaller batch"),
      epochs: int(100, "passes over the training pictures", { min: 1 }),
      max_steps: optional(int(1, "end after so many steps; null: all epochs", { min: 1 })),
      lr: number(1e-3, "learning rate of Adam", { above: 0 }),
      lr_annealing: bool(true, "learning rate falls linearly to 0 over the run"),
      alpha_bar_power: alphaBarPower(0),
      timestep_power: timestepPower(0),
      log_freq: int(10, "steps between rows of stats.jsonl", { min: 1 }),
      save_model_every_n_epoch: int(-1, "keep the weights of every n-th epoch; -1: the last only", {
        min: -1,
      }),
      save_every_steps: optional(int(1, "steps between checkpoints; null: each epoch", { min: 1 })),
    },
    val_args: {
      batch_size: int(10, "pictures of the validation batch", { min: 1 }),
      psnr_batch_size: int(100, "pictures of the PSNR check", { min: 1 }),
      num_steps: int(100, "sampling steps of the validation", { min: 1 }),
      eta: number(0, "noise of the sampler while training and evaluating deft", { min: 0, max: 1 }),
      use_ema: bool(false, "sample with the EMA weights"),
      sample_freq: int(5, "epochs between validations; -1: none", { min: -1 }),
      psnr_sample_freq: int(-1, "epochs between PSNR checks; -1: none", { min: -1 }),
    },
    ema: {
      beta: number(0.999, "decay of the moving average", { min: 0, max: 1 }),
      update_after_step: int(400, "steps before averaging starts", { min: 0 }),
      update_every: int(10, "steps between updates of the average", { min: 1 }),
    },
    soc: {
      objective: socOptions.objective,
      batch_size: socOptions.batchSize,
      iterations: socOptions.iterations,
      sigma: optional(number(0, "noise of y where the task has none", { above: 0 })),
      num_steps: optional(
        int(1, "steps of the simulated chain and of the samples; null: exp.num_steps", { min: 1 }),
      ),
      picture: int(0, "train: the held-out picture whose measurement is learned", { min: 0 }),
    },
    ...samplerOptions,
  },
  likelihood: {
    name: oneOf(["sr*", "inp", "hdr", "ct", "phase_retrieval", "blur", "plain"], "sr4", "follows algo.deg"),
    convention: oneOf(
      ["exact", "deft", "pinv"],
      "exact",
      "guidance as in the maths, as in the original's own networks, or A† of the residual in place of Aᵀ, for measurements of little noise",
    ),
    forward_op: forwardOp,
  },
  model: {
    name: oneOf(
      [
        "embedded",
        "phantoms",
        "imagenet256_uncond",
        "imagenet256_cond",
        "imagenet512_cond",
        "ffhq256_uncond",
      ],
      "embedded",
      "prior: shipped ones, or the public ones of your own download",
    ),
    ckpt_path: optional(
      text(
        "",
        "weight file of the prior, for pretrain the one to start from; null: the shipped one, for pretrain none",
      ),
    ),
    ...network,
    in_channels: int(3, "channels of the pictures", { min: 1, max: 3 }),
    num_channels: int(256, "channels of the first level, a multiple of 32", { min: 32 }),
    attention_resolutions: numbers([32, 16, 8], "image sides at which there is attention"),
    num_head_channels: int(64, "channels of an attention head; -1: num_heads rules", { min: -1 }),
    learn_sigma: bool(true, "twice the output channels; the first half is the noise"),
    prediction_type: optional(
      oneOf(
        ["epsilon", "v_prediction"],
        "epsilon",
        "what the network puts out: the noise, or v = sqrt(alpha_bar) z - sqrt(1-alpha_bar) x; null: as its weight file states, else epsilon; pretrain: v_prediction",
      ),
    ),
    class_cond: bool(false, "takes class labels"),
    num_classes: int(1000, "classes where class_cond", { min: 1 }),
  },
  htransform_model: {
    name: oneOf(["default", "embedded"], "default", "size of the h-transform; follows the model"),
    ckpt_path: optional(text("", "weight file to start from")),
    ...network,
    in_channels: optional(int(9, "follows algo.deg; a given one has to agree", { min: 1 })),
    out_channels: optional(int(3, "channels of the pictures; a given one has to agree", { min: 1 })),
    num_channels: int(64, "channels of the first level, a multiple of 32", { min: 32 }),
    attention_resolutions: numbers([32, 16], "image sides at which there is attention"),
    num_head_channels: int(16, "channels of an attention head; -1: num_heads rules", { min: -1 }),
    learn_sigma: bool(false, "twice the output channels, of which the first half is used"),
    use_residual: bool(true, "h = NN1 - s(t) g; false: NN1 alone"),
    epsilon_based: bool(true, "h is added to the noise, not to the score"),
    init_scaling_bias: number(0.001, "first value of the time gate s(t)"),
    scale_output: bool(false, "NN1 times sqrt(alpha_bar_t): it puts out a change of v, not of the noise"),
  },
  classifier: {
    name: oneOf(["none", "imagenet256", "imagenet512"], "none", "classifier for guidance and accuracy"),
    ckpt_path: optional(text("", "weight file of the classifier")),
    scale: number(1, "weight of the guidance", { min: 0 }),
    width: int(128, "channels of the first level", { min: 32 }),
    depth: int(2, "residual blocks a level", { min: 1 }),
    attention_resolutions: numbers([32, 16, 8], "image sides at which there is attention"),
    use_scale_shift_norm: bool(true, "time enters as scale and shift of the norm"),
    resblock_updown: bool(true, "residual blocks resample"),
    pool: oneOf(["attention", "adaptive"], "attention", "pooling before the classes"),
  },
  dataset: {
    ...datasetFields(""),
    image_size: optional(int(256, "side; follows the model, whose side it has to be", { min: 4, max: 4096 })),
    channels: optional(int(3, "channels; follows the model", { min: 1, max: 3 })),
  },
  finetune_dataset: {
    name: optional(datasetFields("; null: as dataset").name),
    root: datasetFields("; null: as dataset").root,
    subset_txt: datasetFields("; null: as dataset").subset_txt,
  },
  loader: {
    name: oneOf(
      ["default", "imagenet256_*", "imagenet512_*", "ffhq256_*"],
      "default",
      "pictures of the evaluation",
    ),
    batch_size: int(10, "pictures a batch of the evaluation", { min: 1 }),
    num_workers: int(2, "pictures decoded at the same time when a folder is opened; 0: one", { min: 0 }),
    shuffle: bool(false, "shuffle the evaluation's pictures"),
    drop_last: bool(false, "leave out a last, smaller batch"),
  },
  diffusion: {
    name: oneOf(
      ["linear1000", "quad1000", "const1000", "jsd1000", "sigmoid1000", "cosine1000"],
      "linear1000",
      "noise schedule",
    ),
    num_diffusion_timesteps: int(1000, "steps of the diffusion", { min: 2 }),
    beta_schedule: oneOf(
      ["linear", "quad", "const", "jsd", "sigmoid", "cosine"],
      "linear",
      "shape of the schedule",
    ),
    beta_start: number(1e-4, "first beta", { above: 0, max: 1 }),
    beta_end: number(0.02, "last beta", { above: 0, max: 1 }),
  },
  dist: {
    num_processes_per_node: int(1, "taken for compatibility: one process runs", { min: 1 }),
    num_proc_node: int(1, "taken for compatibility", { min: 1 }),
    node_rank: int(0, "taken for compatibility", { min: 0 }),
    master_address: text("localhost", "taken for compatibility"),
    port: int(6020, "taken for compatibility", { min: 0, max: 65535 }),
  },
  exp: {
    root: text("outputs", "folder of all results"),
    samples_root: text("samples", "folder of the runs under root"),
    ckpt_root: optional(text("", "folder of the checkpoints; null: model_ckpts under root")),
    name: optional(text("", "the run's folder; null: a new one that says the task", checkFolderName)),
    num_steps: int(100, "sampling steps of the evaluation", { min: 1 }),
    start_step: int(1000, "first diffusion step of sampling, exclusive", { min: 1 }),
    end_step: int(0, "last diffusion step of sampling", { min: 0 }),
    smoke_test: int(4, "batches of the evaluation; 0 or less: all"),
    logfreq: int(200, "batches between lines of the evaluation", { min: 1 }),
    save_ori: bool(false, "save the original pictures"),
    save_deg: bool(false, "save the degraded pictures"),
    save_evolution: bool(false, "save strips of the sampling steps"),
    checkpoint: optional(
      text(
        "",
        "folder of a finished train run (--checkpoint): its task and its h-transform; sample, compare",
      ),
    ),
    overwrite: bool(false, "replace a run of this name, or files that are in the way"),
    resume: bool(false, "go on with the run of this name (--resume)"),
    classes: optional(
      classNumbers(
        "class numbers of the pictures, in turn (train: one for all), for class-conditional priors, guidance and top-1; null: those of the data set's class folders",
      ),
    ),
    seed: int(0, "seed of all random numbers", { min: 0, max: 4294967295 }),
  },
  metrics: {
    lpips_path: optional(
      text("", "linear heads of LPIPS, or a file with its trunk too; null: LPIPS is left out of the table"),
    ),
    lpips_trunk_path: optional(
      text("", "torchvision's weights of the AlexNet, VGG16 or SqueezeNet 1.1 that the heads are for"),
    ),
    inception_path: optional(
      text("", "pytorch-fid's Inception-v3; null: FID, KID and Inception score are left out of the table"),
    ),
  },
  sample: {
    num_samples: int(1, "samples of each picture that `sample` draws", { min: 1, max: 64 }),
    unconditional: bool(
      false,
      "draw from the prior alone, without a task; true where algo=ddim and neither algo.deg nor --checkpoint is given",
    ),
  },
  compare: compareFields,
  wandb_config: {
    log: bool(false, "taken for compatibility: nothing is sent anywhere"),
    project: optional(text("", "taken for compatibility")),
    entity: optional(text("", "taken for compatibility")),
    name: optional(text("", "taken for compatibility")),
  },
  pretrain: {
    steps: int(20000, "training steps of the prior", { min: 1 }),
    batch_size: int(64, "pictures a step", { min: 1 }),
    lr: number(1e-4, "learning rate of Adam", { above: 0 }),
    lr_annealing: bool(true, "learning rate falls linearly to 0 over the run"),
    warmup_steps: int(500, "steps over which the learning rate rises", { min: 0 }),
    ema_beta: number(0.999, "decay of the moving average", { min: 0, max: 1 }),
    alpha_bar_power: alphaBarPower(1),
    timestep_power: timestepPower(0.25),
    flip: bool(true, "mirror pictures at random"),
    log_freq: int(10, "steps between rows of stats.jsonl", { min: 1 }),
    save_every_steps: int(500, "steps between checkpoints", { min: 1 }),
    sample_every_steps: int(2000, "steps between pictures drawn from the prior", { min: 1 }),
    out: optional(
      text(
        "",
        "weight file to write, one that is there only with exp.overwrite; null: prior.safetensors in the run folder",
      ),
    ),
  },
  adapter: optional(
    oneOf(
      ["auto", "hardware", "lavapipe", "swiftshader"],
      "auto",
      "GPU adapter (--adapter); null: DEFT_ADAPTER, else auto",
    ),
  ),
  tensor_cores: bool(
    false,
    "subgroup matrices for a prior in float16 (model.use_fp16) where the adapter has them; an experiment of Dawn's",
  ),
} satisfies Tree;

/** The resolved configuration. Keys are those of the command line. */
export type Config = ConfigOf<typeof schema>;

/** Every key with its field, in the order of the schema. */
export const fields: ReadonlyMap<string, Field<Value>> = new Map(flatten(schema, ""));

/** Groups in which `group=choice` is short for `group.name=choice`. */
export const choiceGroups: readonly string[] = [
  "experiment",
  "algo",
  "likelihood",
  "model",
  "htransform_model",
  "classifier",
  "dataset",
  "finetune_dataset",
  "loader",
  "diffusion",
];

/** The tree of `values`, which holds every key of the schema. */
export function toConfig(values: ReadonlyMap<string, Value>): Config {
  return build(schema, "", values) as Config;
}

/** The values of a configuration by key. */
export function fromConfig(config: Config): Map<string, Value> {
  const values = new Map<string, Value>();
  for (const key of fields.keys()) {
    let node: unknown = config;
    for (const part of key.split(".")) node = (node as Record<string, unknown>)[part];
    values.set(key, node as Value);
  }
  return values;
}

function build(tree: Tree, prefix: string, values: ReadonlyMap<string, Value>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(tree).map(([name, node]) => {
      const key = prefix + name;
      return [name, isField(node) ? (values.get(key) ?? null) : build(node, `${key}.`, values)];
    }),
  );
}

function flatten(tree: Tree, prefix: string): [string, Field<Value>][] {
  return Object.entries(tree).flatMap(([name, node]) =>
    isField(node) ? [[prefix + name, node] as [string, Field<Value>]] : flatten(node, `${prefix}${name}.`),
  );
}
