// Convolution: forward, input, weight and bias gradients, and which variant computes them.
// Transposed convolution is the input gradient with a bias.
import type { Device } from "../gpu/device.ts";
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

/** A convolution, what is computed of it, and whether x and w are f16 (gradients are made in f32 alone) and w constant. */
interface Problem extends ConvShape {
  readonly pass: "forward" | "input" | "weights";
  readonly half: boolean;
  readonly constant: boolean;
}

interface ConvVariant extends Variant<Problem> {
  readonly forward: (device: Device, buffers: ForwardBuffers, s: ConvShape) => void;
  readonly inputGradient: (device: Device, buffers: InputGradientBuffers, s: ConvShape) => void;
  readonly weightGradient: (device: Device, buffers: WeightGradientBuffers, s: ConvShape) => void;
}

const variants: readonly ConvVariant[] = [
  {
    name: "matrix",
    can: (device, { half }) => half && device.matrix !== null,
    forward: matrixForward,
    // Gradients are of f32, so that these are never asked for.
    inputGradient: baseInputGradient,
    weightGradient: baseWeightGradient,
  },
  {
    name: "winograd",
    can: canWinograd,
    forward: winogradForward,
    inputGradient: winogradInputGradient,
    weightGradient: winogradWeightGradient,
  },
  {
    name: "product",
    can: canUnfold,
    forward: productForward,
    inputGradient: productInputGradient,
    weightGradient: productWeightGradient,
  },
  {
    name: "base",
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

/** out[n,o,oh,ow] = conv(x, w) + bias. */
export function convForward(device: Device, buffers: ForwardBuffers, s: ConvShape): void {
  const problem = { ...s, half: buffers.x.half ?? false, constant: buffers.w.derived !== undefined };
  pick(device, { ...problem, pass: "forward" }).forward(device, buffers, s);
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
