import type { UNetConfig } from "../../src/nn/unet.ts";

/** The least UNet that learns anything: one level of 32 channels, one residual block, no attention but the middle's. */
export const smallUNet = (imageSize: number, channels: number, numHeads = 2): UNetConfig => ({
  imageSize,
  inChannels: channels,
  outChannels: channels,
  learnSigma: false,
  modelChannels: 32,
  channelMult: [1],
  numResBlocks: 1,
  attentionFactors: [],
  numHeads,
  numHeadChannels: -1,
  useScaleShiftNorm: true,
  resblockUpdown: false,
  useNewAttentionOrder: false,
  numClasses: null,
});
