// One line an op.
export { conv1d, conv2d, conv2dWeightGradient, convTranspose2d, type ConvOptions } from "./conv2d.ts";
export { groupNorm, type GroupNormOptions } from "./group-norm.ts";
export { matmul, type MatmulOptions } from "./matmul.ts";
export { linear } from "./linear.ts";
export { add, div, maximum, mul, sub } from "./binary.ts";
export { concat } from "./concat.ts";
export { reshape } from "./reshape.ts";
export { avgPool2d, upsampleNearest } from "./resample.ts";
export { chunk, slice, split } from "./slice.ts";
export {
  abs,
  affine,
  clamp,
  cos,
  exp,
  floor,
  leakyRelu,
  log,
  neg,
  reciprocal,
  relu,
  round,
  rsqrt,
  sigmoid,
  silu,
  sin,
  sqrt,
  square,
  tanh,
} from "./unary.ts";
export { cumprod, l2norm, max, mean, std, sum, variance } from "./reduce.ts";
export type { ReduceOptions, VarianceOptions } from "./reduce.ts";
export { expand, repeat } from "./expand.ts";
export { lincomb, type Coefficient } from "./lincomb.ts";
export { pad, reflectionPad2d, type Padding, type Padding2d } from "./pad.ts";
export { permute, pixelShuffle, pixelUnshuffle } from "./permute.ts";
export { attention, type AttentionOptions } from "./attention.ts";
export { randomNormal, randomUniform, randomWords, type RandomOptions } from "./random.ts";
export { dropout, type DropoutOptions } from "./dropout.ts";
export { embedding, indexSelect } from "./embedding.ts";
export { timestepEmbedding } from "./timestep-embedding.ts";
export { logSoftmax, softmax } from "./softmax.ts";
export { fft2, type Complex, type Fft2Options } from "./fft2.ts";
export { gridSample, type GridSampleOptions } from "./grid-sample.ts";
export { backprojection, pixelBackprojection, radon, type RadonPlan } from "./radon.ts";
