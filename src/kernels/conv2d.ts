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
import { declareVariants, pickVariant, type Variant } from "./variant.ts";

/** A convolution, and whether x and w are f16: gradients are made in f32 alone. */
interface Problem extends ConvShape {
  readonly half: boolean;
}

interface ConvVariant extends Variant<Problem> {
  readonly forward: (device: Device, buffers: ForwardBuffers, s: ConvShape) => void;
  readonly inputGradient: (device: Device, buffers: InputGradientBuffers, s: ConvShape) => void;
  readonly weightGradient: (device: Device, buffers: WeightGradientBuffers, s: ConvShape) => void;
}

const variants: readonly ConvVariant[] = [
  {
    name: "matrix",
    when: (device, { half }) => half && device.matrix !== null,
    forward: matrixForward,
    // Gradients are of f32, so that these are never asked for.
    inputGradient: baseInputGradient,
    weightGradient: baseWeightGradient,
  },
  {
    name: "winograd",
    when: canWinograd,
    forward: winogradForward,
    inputGradient: winogradInputGradient,
    weightGradient: winogradWeightGradient,
  },
  {
    name: "product",
    when: canUnfold,
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
declareVariants(
  "conv2d",
  variants.map((v) => v.name),
);

/** Of the bias gradient: `plane` pixels of o channels of n images. */
interface Planes {
  readonly n: number;
  readonly o: number;
  readonly plane: number;
}
const biasVariants = [
  {
    name: "product",
    when: canSumChannels,
    biasGradient: productBiasGradient,
  },
  { name: "base", biasGradient: baseBiasGradient },
];

/** out[n,o,oh,ow] = conv(x, w) + bias. */
export function convForward(device: Device, buffers: ForwardBuffers, s: ConvShape): void {
  const half = buffers.x.half ?? false;
  pickVariant(device, "conv2d", variants, { ...s, half }).forward(device, buffers, s);
}

/** out[n,c,h,w] = the gradient of sum(conv(x, w)·dy) by x, + bias[c] for transposed convolution. */
export function convInputGradient(device: Device, buffers: InputGradientBuffers, s: ConvShape): void {
  pickVariant(device, "conv2d", variants, { ...s, half: false }).inputGradient(device, buffers, s);
}

/** out[o,c,kh,kw] = the gradient of sum(conv(x, w)·dy) by w. */
export function convWeightGradient(device: Device, buffers: WeightGradientBuffers, s: ConvShape): void {
  pickVariant(device, "conv2d", variants, { ...s, half: false }).weightGradient(device, buffers, s);
}

/** out[o] = sum of dy[n,o,plane] over images and pixels. */
export function convBiasGradient(
  device: Device,
  buffers: { dy: HasBuffer; out: HasBuffer },
  s: Planes,
): void {
  pickVariant<Planes, (typeof biasVariants)[number]>(device, "conv2d", biasVariants, s).biasGradient(
    device,
    buffers,
    s,
  );
}
