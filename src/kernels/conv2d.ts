// Convolution: forward, input, weight and bias gradients, and which variant computes them.
// Transposed convolution is the input gradient with a bias.
import type { Device } from "../gpu/device.ts";
import { binaryForward } from "./binary.ts";
import { baseBiasGradient, baseForward, baseInputGradient, baseWeightGradient } from "./conv2d-base.ts";
import { canSumChannels, productBiasGradient } from "./conv2d-product.ts";
import type {
  ConvShape,
  ForwardBuffers,
  InputGradientBuffers,
  WeightGradientBuffers,
} from "./conv2d-shape.ts";
import { matrixForward } from "./conv2d-matrix.ts";
import { canUnfold, productForward, productInputGradient, productWeightGradient } from "./conv2d-unfold.ts";
import {
  canWinograd,
  winogradForward,
  winogradInputGradient,
  winogradWeightGradient,
} from "./conv2d-winograd.ts";
import type { HasBuffer } from "./kernel.ts";
import { countClass, defineVariants, halfName, type Variant } from "./variant.ts";
import { withWorkspace } from "./workspace.ts";

/** A convolution, what is computed of it, and whether x and w are f16 (gradients are made in f32 alone) and w constant. */
interface Problem extends ConvShape {
  readonly pass: "forward" | "input" | "weights";
  readonly half: boolean;
  readonly constant: boolean;
}

interface ConvVariant extends Variant<Problem> {
  /** Its forward pass adds the residual; else a kernel of its own does. */
  readonly adds: boolean;
  readonly forward: (device: Device, buffers: ForwardBuffers, s: ConvShape) => void;
  readonly inputGradient: (device: Device, buffers: InputGradientBuffers, s: ConvShape) => void;
  readonly weightGradient: (device: Device, buffers: WeightGradientBuffers, s: ConvShape) => void;
}

const variants: readonly ConvVariant[] = [
  {
    name: "matrix",
    can: (device, { half }) => half && device.matrix !== null,
    // It takes 32 channels of a tap at a time.
    wins: (_, { c }) => c >= 16,
    adds: true,
    forward: matrixForward,
    // Gradients are of f32, so that these are never asked for.
    inputGradient: baseInputGradient,
    weightGradient: baseWeightGradient,
  },
  {
    name: "winograd",
    can: canWinograd,
    adds: true,
    forward: winogradForward,
    inputGradient: winogradInputGradient,
    weightGradient: winogradWeightGradient,
  },
  {
    name: "product",
    can: canUnfold,
    // In each of its sixteen stores it would take lavapipe 0.9 s to compile, beside 0.5 s, for some 1 % of a forward pass.
    adds: false,
    forward: productForward,
    inputGradient: productInputGradient,
    weightGradient: productWeightGradient,
  },
  {
    name: "base",
    adds: true,
    forward: baseForward,
    inputGradient: baseInputGradient,
    weightGradient: baseWeightGradient,
  },
];
const nameOf = (q: Problem, device: Device): string => {
  const window = `${q.kh}x${q.kw} s${q.stride} p${q.padY}x${q.padX}`;
  const kept = `${q.half ? ` ${halfName(device)}` : ""}${q.constant ? " constant" : ""}`;
  return `${q.pass} ${window} ${q.c}>${q.o} ${q.h}x${q.w} n${countClass(q.n)}${kept}`;
};
const pick = defineVariants("conv2d", variants, nameOf);
/** What a gradient is of. */
const gradient = (pass: "input" | "weights", s: ConvShape, w?: HasBuffer): Problem => ({
  ...s,
  ...{ pass, half: false, constant: w?.derived !== undefined },
});

/** Of the bias gradient: `plane` pixels of o channels of n images. */
interface Planes {
  readonly n: number;
  readonly o: number;
  readonly plane: number;
}
interface BiasVariant extends Variant<Planes> {
  readonly biasGradient: (device: Device, buffers: { dy: HasBuffer; out: HasBuffer }, s: Planes) => void;
}
const biasVariants: readonly BiasVariant[] = [
  {
    name: "product",
    can: canSumChannels,
    biasGradient: productBiasGradient,
  },
  { name: "base", biasGradient: baseBiasGradient },
];
const pickBias = defineVariants(
  "conv2d",
  biasVariants,
  ({ n, o, plane }: Planes) => `bias ${o}x${plane} n${countClass(n)}`,
);

/** out[n,o,oh,ow] = conv(x, w) + bias + residual. */
export function convForward(device: Device, buffers: ForwardBuffers, s: ConvShape): void {
  const { x, w, residual, out } = buffers;
  const problem = { ...s, half: x.half ?? false, constant: w.derived !== undefined };
  const variant = pick(device, { ...problem, pass: "forward" });
  if (!residual || variant.adds) return variant.forward(device, buffers, s);
  const n = s.n * s.o * s.oh * s.ow;
  withWorkspace(device, n / (out.half ? 2 : 1), "a convolution before its residual", (space) => {
    const a = { ...space, half: out.half ?? false };
    variant.forward(device, { ...buffers, residual: null, out: a }, s);
    binaryForward(device, "add", { sizes: [n], strides: [[1], [1]] }, { a, b: residual, out });
  });
}

/** out[n,c,h,w] = the gradient of sum(conv(x, w)·dy) by x, + bias[c] for transposed convolution. */
export function convInputGradient(device: Device, buffers: InputGradientBuffers, s: ConvShape): void {
  pick(device, gradient("input", s, buffers.w)).inputGradient(device, buffers, s);
}

/** out[o,c,kh,kw] = the gradient of sum(conv(x, w)·dy) by w. */
export function convWeightGradient(device: Device, buffers: WeightGradientBuffers, s: ConvShape): void {
  pick(device, gradient("weights", s)).weightGradient(device, buffers, s);
}

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function convBiasGradient(
  device: Device,
  buffers: { dy: HasBuffer; out: HasBuffer },
  s: Planes,
): void {
  pickBias(device, s).biasGradient(device, buffers, s);
}
