// Blocks of the ADM UNet (Dhariwal & Nichol 2021, appendix), with the parameter names of the public checkpoints.
import {
  add,
  attention,
  avgPool2d,
  cast,
  concat,
  mean,
  reshape,
  silu,
  slice,
  upsampleNearest,
  type Tensor,
} from "../tensor/index.ts";
import { conv1dLayer, conv2dLayer, groupNormLayer, linearLayer, type Layer } from "./layers.ts";
import type { Dropout } from "./dropout.ts";
import type { Declarations } from "./parameter.ts";
import { ShapeError } from "../tensor/index.ts";

export interface ResBlockOptions {
  readonly channels: number;
  readonly embChannels: number;
  readonly outChannels?: number;
  /** 3×3 instead of 1×1 where the skip connection changes the channels. */
  readonly useConv?: boolean;
  /** emb gives (scale, shift) of the second norm instead of a bias before it. */
  readonly useScaleShiftNorm?: boolean;
  readonly resample?: "up" | "down";
  /** Groups of the norms; default 32. */
  readonly normGroups?: number;
  /** Before the last convolution, in training. */
  readonly dropout?: Dropout;
}

/** A block of the network: takes the features and the time embedding [N, E]; blocks without time ignore it. */
export type Block = (x: Tensor, emb: Tensor) => Tensor;

/**
 * Residual block: norm, SiLU, (resample), conv3×3; emb → SiLU → linear as bias or (scale, shift); norm, SiLU, dropout,
 * conv3×3 (starts at zero); plus the input, resampled alike and brought to the new channels.
 */
export function resBlock(d: Declarations, o: ResBlockOptions): Block {
  const out = o.outChannels ?? o.channels;
  const norm1 = groupNormLayer(d.in("in_layers.0"), o.channels, o.normGroups);
  const conv1 = conv2dLayer(d.in("in_layers.2"), o.channels, out);
  const embed = linearLayer(d.in("emb_layers.1"), o.embChannels, o.useScaleShiftNorm ? 2 * out : out);
  const norm2 = groupNormLayer(d.in("out_layers.0"), out, o.normGroups);
  const conv2 = conv2dLayer(d.in("out_layers.3"), out, out, { zero: true });
  const skip: Layer =
    out === o.channels
      ? (x) => x
      : conv2dLayer(d.in("skip_connection"), o.channels, out, { kernel: o.useConv ? 3 : 1 });
  const resample: Layer =
    o.resample === "up"
      ? (x) => upsampleNearest(x, 2)
      : o.resample === "down"
        ? (x) => avgPool2d(x, 2)
        : (x) => x;
  return (x, emb) =>
    x.engine.scope(() => {
      const e = embed(silu(emb));
      let h = conv1(resample(norm1(x, { silu: true })));
      if (o.useScaleShiftNorm) h = norm2(h, { silu: true, scaleShift: e });
      else h = norm2(add(h, likeTorso(reshape(e, [e.dim(0), out, 1, 1]), h)), { silu: true });
      return conv2(o.dropout ? o.dropout.apply(h) : h, { residual: skip(resample(x)) });
    });
}

/** x stored as the features of the network's torso are. */
const likeTorso = (x: Tensor, features: Tensor): Tensor => (features.half ? cast(x, "f16") : x);

export interface AttentionOptions {
  readonly channels: number;
  readonly numHeads?: number;
  /** Overrides numHeads when given (> 0): heads = channels / numHeadChannels. */
  readonly numHeadChannels?: number;
  readonly useNewAttentionOrder?: boolean;
  /** Groups of the norm; default 32. */
  readonly normGroups?: number;
}

/** Number of attention heads, or ShapeError when the channels do not divide. */
export function headsOf(channels: number, numHeads: number, numHeadChannels: number): number {
  const heads = numHeadChannels > 0 ? channels / numHeadChannels : numHeads;
  if (!Number.isInteger(heads) || channels % heads !== 0)
    throw new ShapeError(
      `attention: ${channels} channels do not divide into heads of ${numHeadChannels > 0 ? numHeadChannels : channels / numHeads} channels; choose num_head_channels that divides ${channels}`,
    );
  return heads;
}

/** Self-attention over all pixels: norm, qkv, softmax(qᵀk/√d)·v, projection (starts at zero), plus the input. */
export function attentionBlock(d: Declarations, o: AttentionOptions): Block {
  const heads = headsOf(o.channels, o.numHeads ?? 1, o.numHeadChannels ?? -1);
  const norm = groupNormLayer(d.in("norm"), o.channels, o.normGroups);
  const qkv = conv1dLayer(d.in("qkv"), o.channels, 3 * o.channels);
  const project = conv1dLayer(d.in("proj_out"), o.channels, o.channels, true);
  return (x) =>
    x.engine.scope(() => {
      const flat = reshape(x, [x.dim(0), o.channels, x.size / (x.dim(0) * o.channels)]);
      const h = attention(qkv(norm(flat)), { heads, order: o.useNewAttentionOrder ? "new" : "legacy" });
      return reshape(project(h, { residual: flat }), x.shape);
    });
}

export interface AttentionPoolOptions {
  readonly side: number;
  readonly channels: number;
  readonly numHeadChannels: number;
  readonly outChannels: number;
}

/** CLIP's attention pooling: the mean attends to all pixels. x [N, C, s, s] → [N, outChannels]. */
export function attentionPool(d: Declarations, o: AttentionPoolOptions): Layer {
  const tokens = o.side * o.side + 1;
  const position = d.add("positional_embedding", [o.channels, tokens], { normal: 1 / Math.sqrt(o.channels) });
  const qkv = conv1dLayer(d.in("qkv_proj"), o.channels, 3 * o.channels);
  const project = conv1dLayer(d.in("c_proj"), o.channels, o.outChannels);
  const heads = headsOf(o.channels, 1, o.numHeadChannels);
  return (x) =>
    x.engine.scope(() => {
      const n = x.dim(0);
      const flat = reshape(x, [n, o.channels, tokens - 1]);
      const h = add(concat([mean(flat, { axes: [2], keepdim: true }), flat], 2), position.value);
      const pooled = project(attention(qkv(h), { heads, order: "new" }));
      return reshape(slice(pooled, [0, 0, 0], [n, o.outChannels, 1]), [n, o.outChannels]);
    });
}
