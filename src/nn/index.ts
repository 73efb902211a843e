// The public face of the networks: parameters, layers, UNets, optimiser, weights.
export { Adam, type AdamOptions } from "./adam.ts";
export {
  attentionBlock,
  attentionPool,
  resBlock,
  type AttentionOptions,
  type AttentionPoolOptions,
  type Block,
  type ResBlockOptions,
} from "./blocks.ts";
export { Dropout, type DropoutDraw } from "./dropout.ts";
export { emaDecay, type EmaOptions } from "./ema.ts";
export { CheckpointError } from "./errors.ts";
export {
  conv1dLayer,
  conv2dLayer,
  downsampleLayer,
  groupNormLayer,
  linearLayer,
  upsampleLayer,
  type Layer,
  type Norm,
} from "./layers.ts";
export { Inception, INCEPTION_CLASSES, INCEPTION_FEATURES } from "./inception.ts";
export { Lpips, type LpipsFile } from "./lpips.ts";
export { Declarations, Parameter, ParameterSet, type Init } from "./parameter.ts";
export {
  encodeHeader,
  fromF32,
  headerLength,
  parseHeader,
  tensorBytes,
  toF32,
  viewRaw,
  type RawTensor,
  type SafetensorsDtype,
  type SafetensorsHeader,
  type TensorDeclaration,
  type TensorInfo,
} from "./safetensors.ts";
export {
  initialise,
  loadWeights,
  readState,
  writeState,
  type NamedArray,
  type WeightSource,
} from "./state.ts";
export { smallestSide, trunk, trunkChannels, trunkNames, type TrunkName } from "./trunks.ts";
export type { ByteSource } from "./byte-source.ts";
export { isTorch, parseTorch, readTorch, TORCH_START, type TorchFile } from "./torch-file.ts";
export { allTensors, plainValues, weightTable, type NamedTensors } from "./torch-tables.ts";
export { EncoderUNet, timeEmbed, UNet, type EncoderUNetConfig, type UNetConfig } from "./unet.ts";
