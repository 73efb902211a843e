// Networks from an entry's config, with its weights loaded, and the gradients of their parameters.
import { HTransform, type HTransformConfig } from "../../../src/deft/htransform.ts";
import { ParameterSet, type Declarations, type ParameterSetOptions } from "../../../src/nn/parameter.ts";
import { loadWeights } from "../../../src/nn/state.ts";
import { defaultChannelMult } from "../../../src/deft/config/presets.ts";
import { EncoderUNet, UNet, type UNetConfig } from "../../../src/nn/unet.ts";
import type { Engine, Tensor } from "../../../src/tensor/index.ts";
import {
  f32,
  flag,
  list,
  num,
  strided,
  text,
  Unsupported,
  type Config,
  type Entry,
  type StateDict,
} from "./entry.ts";

/**
 * A network's config in either style: script (num_channels, attention at image sides) or constructor (model_channels,
 * factors). Where it may leave open how many input channels or classes there are, the weights say so.
 */
export function unetConfig(config: Config, state: StateDict): UNetConfig {
  const imageSize = num(config, "image_size");
  const isScript = "num_channels" in config;
  const attention = list(config, "attention_resolutions", []);
  const mult = list(config, "channel_mult", []);
  if (!flag(config, "conv_resample", true)) throw new Unsupported("conv_resample false");
  return {
    imageSize,
    inChannels: state.get("input_blocks.0.0.weight")?.shape[1] ?? num(config, "in_channels", 3),
    outChannels: num(config, "out_channels", 3),
    learnSigma: flag(config, "learn_sigma"),
    modelChannels: num(config, isScript ? "num_channels" : "model_channels"),
    channelMult: mult.length > 0 ? mult : defaultChannelMult(imageSize),
    numResBlocks: num(config, "num_res_blocks"),
    attentionFactors: isScript ? attention.map((side) => Math.floor(imageSize / side)) : attention,
    numHeads: num(config, "num_heads", 1),
    numHeadsUpsample: num(config, "num_heads_upsample", -1),
    numHeadChannels: num(config, "num_head_channels", -1),
    useScaleShiftNorm: flag(config, "use_scale_shift_norm"),
    resblockUpdown: flag(config, "resblock_updown"),
    useNewAttentionOrder: flag(config, "use_new_attention_order"),
    numClasses: state.get("label_emb.weight")?.shape[0] ?? null,
  };
}

export function hTransformConfig(config: Config, state: StateDict): HTransformConfig {
  return {
    ...unetConfig(config, state),
    useResidual: flag(config, "use_residual", true),
    epsilonBased: flag(config, "epsilon_based", true),
    initScalingBias: num(config, "init_scaling_bias", 0.001),
  };
}

export function encoderOf(config: Config, state: StateDict): EncoderUNet {
  const pool = text(config, "pool", "adaptive");
  if (pool !== "attention" && pool !== "adaptive") throw new Unsupported(`pool ${pool}`);
  return new EncoderUNet({ ...unetConfig(config, state), pool });
}

export interface Loaded {
  readonly set: ParameterSet;
  /** Tensors of the parameters in their order. */
  readonly values: readonly Tensor[];
}

/** Memory for a network's parameters with the state dict in it: every tensor of it is used, and every parameter filled. */
export async function load(
  engine: Engine,
  declarations: Declarations,
  state: StateDict,
  options: ParameterSetOptions,
): Promise<Loaded> {
  const set = new ParameterSet(engine, declarations.list, options);
  try {
    await loadWeights(set, {
      names: [...state.keys()],
      shape: (name) => state.get(name)?.shape ?? [],
      read: async (name) => f32(state.get(name)?.data ?? []),
    });
  } catch (error) {
    set.dispose();
    throw error;
  }
  return { set, values: set.parameters.map((p) => p.value) };
}

/** A state dict without the tensors that a network does not declare: a shared trunk under another head. */
export function onlyDeclared(declarations: Declarations, state: StateDict): StateDict {
  const names = new Set(declarations.list.map((p) => p.name));
  return new Map([...state].filter(([name]) => names.has(name)));
}

/**
 * The outputs <prefix><key>, <prefix>sample.<key> and <prefix>l2 that an entry records, from values by parameter name: whole,
 * strided as long as the recorded sample, and Euclidean norms in the order of the entry's list.
 */
export function byParameter(
  entry: Entry,
  prefix: string,
  values: ReadonlyMap<string, ArrayLike<number>>,
): Map<string, ArrayLike<number>> {
  const result = new Map<string, ArrayLike<number>>();
  for (const { name, shape } of entry.fixture.outputs) {
    if (!name.startsWith(prefix)) continue;
    const key = name.slice(prefix.length);
    const whole = values.get(key);
    const sampled = key.startsWith("sample.") ? values.get(key.slice("sample.".length)) : undefined;
    const names = entry.fixture.tensor_lists?.[name];
    if (whole) result.set(name, whole);
    else if (sampled) result.set(name, strided(sampled, shape[0] ?? 1));
    else if (names)
      result.set(
        name,
        names.map((n) => norm(values.get(n), n)),
      );
  }
  return result;
}

function norm(values: ArrayLike<number> | undefined, name: string): number {
  if (!values) throw new Error(`no parameter ${name}`);
  return Math.sqrt(Array.from(values).reduce((s, v) => s + v * v, 0));
}

/** Gradients on the host by parameter name; zeros where the loss does not depend on one. Disposes of the tensors. */
export async function readGradients(
  set: ParameterSet,
  gradients: readonly (Tensor | null)[],
): Promise<Map<string, Float32Array>> {
  const result = new Map<string, Float32Array>();
  for (const [i, p] of set.parameters.entries()) {
    const g = gradients[i];
    result.set(p.name, g ? await g.read() : new Float32Array(p.value.size));
    g?.dispose();
  }
  return result;
}

/** The network of the source that an entry's weights come from: h-transforms are known by their gate. */
export const isHTransform = (state: StateDict): boolean =>
  [...state.keys()].some((name) => name.startsWith("log_likelihood_scaling."));

export const unetOf = (config: Config, state: StateDict): UNet => new UNet(unetConfig(config, state));
export const hTransformOf = (config: Config, state: StateDict): HTransform =>
  new HTransform(hTransformConfig(config, state));
