// The layers that networks are built from: parameters under their PyTorch names, and a function.
import {
  avgPool2d,
  conv1d,
  conv2d,
  groupNorm,
  linear,
  upsampleNearest,
  type Tensor,
} from "../tensor/index.ts";
import { fanIn, type Declarations, type Parameter } from "./parameter.ts";

export type Layer = (x: Tensor) => Tensor;
/** A layer that adds a residual of its result's shape. */
export type ConvLayer = (x: Tensor, options?: { readonly residual?: Tensor | null }) => Tensor;

interface ConvOptions {
  readonly kernel?: number;
  readonly stride?: number;
  /** Zeros around the picture; half of the kernel without one. */
  readonly padding?: number;
  /** Weights and bias start at zero (ADM's zero_module). */
  readonly zero?: boolean;
  /** Its weights stay float32 where the rest of a frozen network is float16. */
  readonly full?: boolean;
}

/** Convolution, without a padding given with "same" padding at stride 1. weight [out, in, k, k], bias [out]. */
export function conv2dLayer(
  d: Declarations,
  inC: number,
  outC: number,
  { kernel = 3, stride = 1, padding = kernel >> 1, zero = false, full = false }: ConvOptions = {},
): ConvLayer {
  const init = zero ? 0 : fanIn(inC * kernel * kernel);
  const w = d.add("weight", [outC, inC, kernel, kernel], init, { halvable: !full });
  const b = d.add("bias", [outC], init);
  return (x, { residual = null } = {}) => conv2d(x, w.value, b.value, { stride, padding, residual });
}

/** One-by-one convolution over [N, C, L]. weight [out, in, 1], bias [out]. */
export function conv1dLayer(d: Declarations, inC: number, outC: number, zero = false): ConvLayer {
  const init = zero ? 0 : fanIn(inC);
  const w = d.add("weight", [outC, inC, 1], init, { halvable: true });
  const b = d.add("bias", [outC], init);
  return (x, { residual = null } = {}) => conv1d(x, w.value, b.value, { residual });
}

/** y = x Wᵀ + b. weight [out, in], bias [out]. */
export function linearLayer(
  d: Declarations,
  inC: number,
  outC: number,
  init: { weight?: number; bias?: number } = {},
): Layer {
  const w = d.add("weight", [outC, inC], init.weight ?? fanIn(inC));
  const b = d.add("bias", [outC], init.bias ?? fanIn(inC));
  return (x) => linear(x, w.value, b.value);
}

export type Norm = (x: Tensor, options?: { silu?: boolean; scaleShift?: Tensor | null }) => Tensor;

/** Group norm with eps 1e-5, then scale and shift, then SiLU, as asked. weight, bias [channels]. ADM has 32 groups. */
export function groupNormLayer(d: Declarations, channels: number, groups = 32): Norm {
  const [gamma, beta]: [Parameter, Parameter] = [
    d.add("weight", [channels], 1),
    d.add("bias", [channels], 0),
  ];
  return (x, { silu = false, scaleShift = null } = {}) =>
    groupNorm(x, gamma.value, beta.value, scaleShift, { groups, silu });
}

/** Nearest ×2, then a 3×3 convolution ("conv") when asked. */
export function upsampleLayer(d: Declarations, inC: number, outC: number, useConv: boolean): Layer {
  if (!useConv) return (x) => upsampleNearest(x, 2);
  const conv = conv2dLayer(d.in("conv"), inC, outC);
  return (x) => conv(upsampleNearest(x, 2));
}

/** 3×3 convolution of stride 2 ("op"), or the 2×2 mean. */
export function downsampleLayer(d: Declarations, inC: number, outC: number, useConv: boolean): Layer {
  return useConv ? conv2dLayer(d.in("op"), inC, outC, { stride: 2 }) : (x) => avgPool2d(x, 2);
}
