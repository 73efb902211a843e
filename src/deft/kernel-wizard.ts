// The generator of Tran et al. 2021 (Explore image deblurring via encoded blur kernel space): a sharp picture and the code of a blur
// give a blurred picture.
import { Declarations, fanIn, type Parameter } from "../nn/parameter.ts";
import { drawInit } from "../nn/state.ts";
import { conv2dLayer, type Layer } from "../nn/layers.ts";
import {
  add,
  concat,
  conv2d,
  convTranspose2d,
  leakyRelu,
  Philox,
  pixelShuffle,
  relu,
  sizeOf,
  tanh,
  type Shape,
  type Tensor,
} from "../tensor/index.ts";

export interface KernelWizardConfig {
  /** Channels of the features. */
  readonly features: number;
  /** Residual blocks before and after the adapter. */
  readonly frontBlocks: number;
  readonly backBlocks: number;
  /** Channels of a blur's code. */
  readonly kernelChannels: number;
}

/** The published network. */
export const kernelWizardDefaults: KernelWizardConfig = {
  features: 64,
  frontBlocks: 10,
  backBlocks: 20,
  kernelChannels: 512,
};

/** The network's tensors by their names in the state dict, those of the generator at least. */
export type KernelWizardWeights = ReadonlyMap<
  string,
  { readonly shape: Shape; readonly data: Float32Array<ArrayBuffer> }
>;

/** The sizes that a state dict shows. */
export function kernelWizardConfig(weights: KernelWizardWeights): KernelWizardConfig {
  const features = weights.get("feature_extractor.0.weight")?.shape[0] ?? kernelWizardDefaults.features;
  const innermost = `adapter.model.${"submodule.".repeat(4)}up.1.weight`;
  const blocks = (part: string) =>
    [...weights.keys()].filter((name) => name.startsWith(part) && name.endsWith(".conv1.weight")).length;
  return {
    features,
    frontBlocks: blocks("feature_extractor."),
    backBlocks: blocks("recon_trunk."),
    kernelChannels: (weights.get(innermost)?.shape[0] ?? 0) - 8 * features,
  };
}

/** A small network of the same shape for trials without the published weights. */
const SMALL: KernelWizardConfig = { features: 8, frontBlocks: 1, backBlocks: 1, kernelChannels: 8 };
const SMALL_SEED = 0;
/** Times the layers' own initial bounds, with which signals would die out. */
const SMALL_SCALE = 2;

/**
 * Weights of a small network from a fixed seed: the same on every machine. What it makes of a picture is a fixed non-linear
 * distortion, no camera's blur.
 */
export function randomKernelWizard(): KernelWizardWeights {
  const { list } = new KernelWizard(SMALL).declarations;
  return new Map(
    list.map(({ name, shape, init }, k) => {
      const draw = drawInit(init, new Philox(SMALL_SEED, k));
      const data = Float32Array.from({ length: sizeOf(shape) }, () => SMALL_SCALE * draw());
      return [name, { shape, data }];
    }),
  );
}

/** Sides are multiples of this: two halvings before the adapter, five inside. */
export const KERNEL_WIZARD_STEP = 128;

/** Channels of the last hidden layers, whatever the features. */
const LAST = 64;

export class KernelWizard {
  readonly config: KernelWizardConfig;
  readonly declarations = new Declarations();
  readonly #features: Layer;
  readonly #adapter: (x: Tensor, kernel: Tensor) => Tensor;
  readonly #trunk: Layer;

  constructor(config: KernelWizardConfig = kernelWizardDefaults) {
    this.config = config;
    this.#features = featureExtractor(this.declarations.in("feature_extractor"), config);
    this.#adapter = adapter(this.declarations.in("adapter.model"), config);
    this.#trunk = reconstruction(this.declarations.in("recon_trunk"), config);
  }

  /** Features of a picture in [0, 1]: [N,3,H,W] → [N,features,H/4,W/4]. */
  features(picture: Tensor): Tensor {
    return this.#features(picture);
  }

  /** Features bent by a blur's code [N,kernelChannels,H/128,W/128], in (-1, 1), of the features' shape. */
  adapt(features: Tensor, kernel: Tensor): Tensor {
    return this.#adapter(features, kernel);
  }

  /** The blurred picture, in about [0, 1], not clamped: [N,3,H,W]. */
  forward(picture: Tensor, kernel: Tensor): Tensor {
    return add(picture, this.#trunk(this.adapt(this.features(picture), kernel)));
  }
}

const through =
  (layers: readonly Layer[]): Layer =>
  (x) =>
    layers.reduce((v, layer) => layer(v), x);
const bent: Layer = (x) => leakyRelu(x, 0.1);

/** h + conv(ReLU(conv h)). */
function residual(d: Declarations, channels: number): Layer {
  const [a, b] = [
    conv2dLayer(d.in("conv1"), channels, channels),
    conv2dLayer(d.in("conv2"), channels, channels),
  ];
  return (h) => add(h, b(relu(a(h))));
}

function featureExtractor(d: Declarations, { features: n, frontBlocks }: KernelWizardConfig): Layer {
  const blocks = Array.from({ length: frontBlocks }, (_, k) => k + 6);
  return through([
    ...[conv2dLayer(d.in(0), 3, n), bent],
    ...[conv2dLayer(d.in(2), n, n, { stride: 2 }), bent],
    ...[conv2dLayer(d.in(4), n, n, { stride: 2 }), bent],
    ...blocks.map((k) => residual(d.in(k), n)),
  ]);
}

function reconstruction(d: Declarations, { features: n, backBlocks }: KernelWizardConfig): Layer {
  const blocks = Array.from({ length: backBlocks }, (_, k) => residual(d.in(k), n));
  const at = (k: number) => d.in(backBlocks + k);
  const larger: Layer = (x) => bent(pixelShuffle(x, 2));
  return through([
    ...blocks,
    ...[conv2dLayer(at(0), n, 4 * n), larger],
    ...[conv2dLayer(at(3), n, 4 * LAST), larger],
    ...[conv2dLayer(at(6), LAST, LAST), bent],
    conv2dLayer(at(8), LAST, 3),
  ]);
}

const HALVE = { stride: 2, padding: 1 };
const kernel4 = (d: Declarations, from: number, to: number): Parameter =>
  d.add("weight", [from, to, 4, 4], fanIn(16 * from));

/** Five levels of halving; the code of the blur joins at the innermost. */
function adapter(d: Declarations, { features: n, kernelChannels }: KernelWizardConfig) {
  const channels = [n, n, 2 * n, 4 * n, 8 * n, 8 * n];
  const depth = channels.length - 1;
  /** Level k >= 1 takes channels[k] and gives twice as many: its own and its input's. */
  const level = (own: Declarations, k: number): ((x: Tensor, code: Tensor) => Tensor) => {
    const [from, to] = [channels[k] as number, channels[k + 1] as number];
    const down = kernel4(own.in("down.1"), to, from);
    const isInnermost = k === depth - 1;
    const inner = isInnermost ? null : level(own.in("submodule"), k + 1);
    const up = kernel4(own.in("up.1"), isInnermost ? to + kernelChannels : 2 * to, from);
    return (x, code) => {
      const input = leakyRelu(x, 0.2);
      const low = conv2d(input, down.value, null, HALVE);
      const wide = inner ? inner(low, code) : concat([low, code], 1);
      return concat([convTranspose2d(relu(wide), up.value, null, HALVE), input], 1);
    };
  };
  const down = kernel4(d.in("down.0"), n, n);
  const inner = level(d.in("submodule"), 1);
  const up = kernel4(d.in("up.1"), 2 * n, n);
  const bias = d.in("up.1").add("bias", [n], fanIn(32 * n));
  return (x: Tensor, code: Tensor) => {
    const wide = inner(conv2d(x, down.value, null, HALVE), code);
    return tanh(convTranspose2d(relu(wide), up.value, bias.value, HALVE));
  };
}
