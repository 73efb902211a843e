// One line an op.
export { silu } from "./silu.ts";
export { conv1d, conv2d, convTranspose2d, type ConvOptions } from "./conv2d.ts";
export { groupNorm, type GroupNormOptions } from "./group-norm.ts";
