// Networks and schedule from the configuration.
import type { EncoderUNetConfig, UNetConfig } from "../nn/unet.ts";
import { defaultChannelMult } from "./config/presets.ts";
import type { Config } from "./config/schema.ts";
import { UserError } from "./errors.ts";
import type { HTransformConfig } from "./htransform.ts";
import { Schedule } from "./schedule.ts";

type NetworkOptions = Pick<
  Config["model"],
  | "image_size"
  | "num_channels"
  | "channel_mult"
  | "num_res_blocks"
  | "attention_resolutions"
  | "num_heads"
  | "num_heads_upsample"
  | "num_head_channels"
  | "use_scale_shift_norm"
  | "resblock_updown"
  | "use_new_attention_order"
  | "learn_sigma"
  | "dropout"
  | "norm_groups"
>;

function networkOf(o: NetworkOptions): Omit<UNetConfig, "inChannels" | "outChannels" | "numClasses"> {
  const side = o.image_size;
  if (side === null)
    throw new UserError("image_size: none given and none follows from the model; pass model.image_size=SIDE");
  return {
    imageSize: side,
    learnSigma: o.learn_sigma,
    dropout: o.dropout,
    normGroups: o.norm_groups,
    modelChannels: o.num_channels,
    channelMult: o.channel_mult ?? defaultChannelMult(side),
    numResBlocks: o.num_res_blocks,
    // Image sides become downsampling factors.
    attentionFactors: o.attention_resolutions.map((s) => Math.floor(side / s)),
    numHeads: o.num_heads,
    numHeadsUpsample: o.num_heads_upsample,
    numHeadChannels: o.num_head_channels,
    useScaleShiftNorm: o.use_scale_shift_norm,
    resblockUpdown: o.resblock_updown,
    useNewAttentionOrder: o.use_new_attention_order,
  };
}

/** The prior's network. */
export function priorConfig(model: Config["model"]): UNetConfig {
  const channels = model.in_channels;
  return {
    ...networkOf(model),
    inChannels: channels,
    outChannels: channels,
    numClasses: model.class_cond ? model.num_classes : null,
  };
}

/** The h-transform's network; the task decides the input channels, the images the output channels. */
export function hTransformConfig(
  { htransform_model: o, diffusion }: Pick<Config, "htransform_model" | "diffusion">,
  inChannels: number,
  outChannels: number,
): HTransformConfig {
  const schedule = scheduleOf(diffusion);
  return {
    ...networkOf(o),
    inChannels,
    outChannels,
    numClasses: null,
    useResidual: o.use_residual,
    epsilonBased: o.epsilon_based,
    noiseFactor: (t) => -Math.sqrt(1 - schedule.alphaBar(t)),
    ...(o.scale_output ? { outputFactor: (t: number) => Math.sqrt(schedule.alphaBar(t)) } : {}),
    initScalingBias: o.init_scaling_bias,
  };
}

/** The noisy classifier of the same family (ADM). */
export function classifierConfig(
  o: Config["classifier"],
  { imageSize, inChannels, classes }: { imageSize: number; inChannels: number; classes: number },
): EncoderUNetConfig {
  const network = networkOf({
    image_size: imageSize,
    num_channels: o.width,
    channel_mult: null,
    num_res_blocks: o.depth,
    attention_resolutions: o.attention_resolutions,
    num_heads: 1,
    num_heads_upsample: -1,
    num_head_channels: 64,
    use_scale_shift_norm: o.use_scale_shift_norm,
    resblock_updown: o.resblock_updown,
    use_new_attention_order: false,
    learn_sigma: false,
    dropout: 0,
    norm_groups: 32,
  });
  return { ...network, inChannels, outChannels: classes, numClasses: null, pool: o.pool };
}

/** The diffusion schedule. */
export function scheduleOf(o: Config["diffusion"]): Schedule {
  return new Schedule({
    betaSchedule: o.beta_schedule,
    betaStart: o.beta_start,
    betaEnd: o.beta_end,
    numTimesteps: o.num_diffusion_timesteps,
  });
}
