// Blocks of the networks: values, gradients by inputs and parameters.
import { attentionBlock, attentionPool, resBlock } from "../../../src/nn/blocks.ts";
import { downsampleLayer, upsampleLayer } from "../../../src/nn/layers.ts";
import { Declarations } from "../../../src/nn/parameter.ts";
import { timeEmbed } from "../../../src/nn/unet.ts";
import { timestepEmbedding, type Tensor } from "../../../src/tensor/index.ts";
import { flag, num, pick, type Config, type Entry, type Handler } from "./entry.ts";
import { leavesOf, trained } from "./trained.ts";

/** A module y = f(x, …) with weights of its own. */
function module(
  build: (d: Declarations, config: Config, entry: Entry) => (inputs: Record<string, Tensor>) => Tensor,
  names = ["x"],
): Handler {
  return (entry) => {
    const declarations = new Declarations();
    const run = build(declarations, entry.config, entry);
    return trained(entry, declarations, pick(entry.tensors, "w."), () => {
      const { inputs, leaves } = leavesOf(entry, names);
      const y = run(inputs);
      return { leaves, y, seed: entry.tensor("r", y.shape), outputs: { y } };
    });
  };
}

const get = (inputs: Record<string, Tensor>, name: string): Tensor => inputs[name] as Tensor;

const residual = module(
  (d, config) => {
    const channels = num(config, "channels");
    const resample = flag(config, "up") ? "up" : flag(config, "down") ? "down" : null;
    const block = resBlock(d, {
      channels,
      embChannels: num(config, "emb_channels"),
      outChannels: (config["out_channels"] ?? null) === null ? channels : num(config, "out_channels"),
      useConv: flag(config, "use_conv"),
      useScaleShiftNorm: flag(config, "use_scale_shift_norm"),
      ...(resample ? { resample } : {}),
    });
    return (t) => block(get(t, "x"), get(t, "emb"));
  },
  ["x", "emb"],
);

const attention = module((d, config) => {
  const block = attentionBlock(d, {
    channels: num(config, "channels"),
    numHeads: num(config, "num_heads", 1),
    numHeadChannels: num(config, "num_head_channels", -1),
    useNewAttentionOrder: flag(config, "use_new_attention_order"),
  });
  return (t) => block(get(t, "x"), get(t, "x"));
});

/** With a convolution where the entry has weights of one. */
const resampling = (layer: typeof upsampleLayer): Handler =>
  module((d, config, entry) => {
    const channels = num(config, "channels");
    const hasWeights = pick(entry.tensors, "w.").size > 0;
    const run = layer(d, channels, num(config, "out_channels", channels), hasWeights);
    return (t) => run(get(t, "x"));
  });

const pool = module((d, config) => {
  const run = attentionPool(d, {
    side: num(config, "spacial_dim"),
    channels: num(config, "embed_dim"),
    numHeadChannels: num(config, "num_heads_channels"),
    outChannels: num(config, "output_dim", num(config, "embed_dim")),
  });
  return (t) => run(get(t, "x"));
});

const time: Handler = (entry) => {
  const declarations = new Declarations();
  const channels = num(entry.config, "model_channels");
  const run = timeEmbed(declarations, channels);
  return trained(entry, declarations, pick(entry.tensors, "w."), () => {
    const t_emb = timestepEmbedding(entry.engine, entry.numbers("t"), channels);
    const y = run(t_emb);
    return { leaves: {}, y, seed: entry.tensor("r", y.shape), outputs: { t_emb, y } };
  });
};

export const moduleKinds: Record<string, Handler> = {
  resblock: residual,
  attention_block: attention,
  upsample: resampling(upsampleLayer),
  downsample: resampling(downsampleLayer),
  attention_pool2d: pool,
  time_embed_mlp: time,
};
