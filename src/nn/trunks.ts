// Convolutional trunks of image classifiers, under torchvision's names (`features.N.…`), cut into the stages that LPIPS compares.
import { concat, maxPool2d, relu, type MaxPoolOptions, type Tensor } from "../tensor/index.ts";
import { conv2dLayer, type Layer } from "./layers.ts";
import type { Declarations } from "./parameter.ts";

export type TrunkName = "alex" | "vgg" | "squeeze";

/** A convolution and ReLU, a fire module, or a pool; `at` is its number in torchvision's `features`. */
type Step =
  | {
      readonly at: number;
      readonly conv: readonly [inC: number, outC: number, kernel: number, stride: number, padding: number];
    }
  | { readonly at: number; readonly fire: readonly [inC: number, squeezed: number, expanded: number] }
  | { readonly pool: MaxPoolOptions };

const conv = (at: number, inC: number, outC: number, kernel = 3, stride = 1, padding = 1): Step => ({
  at,
  conv: [inC, outC, kernel, stride, padding],
});
const fire = (at: number, inC: number, squeezed: number, expanded: number): Step => ({
  at,
  fire: [inC, squeezed, expanded],
});
const pool2: Step = { pool: { kernel: 2 } };
const pool3: Step = { pool: { kernel: 3, stride: 2 } };
const pool3Ceil: Step = { pool: { kernel: 3, stride: 2, ceil: true } };

/** Krizhevsky 2014; Simonyan & Zisserman 2015 (D); Iandola et al. 2016 (version 1.1). */
const TRUNKS: Readonly<Record<TrunkName, readonly (readonly Step[])[]>> = {
  alex: [
    [conv(0, 3, 64, 11, 4, 2)],
    [pool3, conv(3, 64, 192, 5, 1, 2)],
    [pool3, conv(6, 192, 384)],
    [conv(8, 384, 256)],
    [conv(10, 256, 256)],
  ],
  vgg: [
    [conv(0, 3, 64), conv(2, 64, 64)],
    [pool2, conv(5, 64, 128), conv(7, 128, 128)],
    [pool2, conv(10, 128, 256), conv(12, 256, 256), conv(14, 256, 256)],
    [pool2, conv(17, 256, 512), conv(19, 512, 512), conv(21, 512, 512)],
    [pool2, conv(24, 512, 512), conv(26, 512, 512), conv(28, 512, 512)],
  ],
  squeeze: [
    [conv(0, 3, 64, 3, 2, 0)],
    [pool3Ceil, fire(3, 64, 16, 64), fire(4, 128, 16, 64)],
    [pool3Ceil, fire(6, 128, 32, 128), fire(7, 256, 32, 128)],
    [pool3Ceil, fire(9, 256, 48, 192)],
    [fire(10, 384, 48, 192)],
    [fire(11, 384, 64, 256)],
    [fire(12, 512, 64, 256)],
  ],
};

export const trunkNames = Object.keys(TRUNKS) as TrunkName[];

/** Sides from which on every stage has a pixel. */
export const smallestSide: Readonly<Record<TrunkName, number>> = { alex: 31, vgg: 16, squeeze: 17 };

/** Channels that each stage puts out. */
export const trunkChannels = (name: TrunkName): number[] =>
  TRUNKS[name].map((stage) => {
    const last = stage.at(-1) as Exclude<Step, { pool: unknown }>;
    return "conv" in last ? last.conv[1] : 2 * last.fire[2];
  });

/** Declares the trunk's parameters; the function gives the output of every stage for x f32[n, 3, h, w]. */
export function trunk(d: Declarations, name: TrunkName): (x: Tensor) => Tensor[] {
  const stages = TRUNKS[name].map((steps) => steps.map((step) => layerOf(d.in("features"), step)));
  return (x) => {
    const outputs: Tensor[] = [];
    for (const layers of stages) outputs.push(through(layers, outputs.at(-1) ?? x));
    return outputs;
  };
}

/** One layer after another; without a gradient the values between them are freed at once. */
function through(layers: readonly Layer[], x: Tensor): Tensor {
  let y = x;
  for (const layer of layers) {
    const before = y;
    y = x.engine.scope(() => layer(before));
    if (before !== x) before.dispose();
  }
  return y;
}

function layerOf(d: Declarations, step: Step): Layer {
  if ("pool" in step) return (x) => maxPool2d(x, step.pool);
  if ("fire" in step) return fireModule(d.in(step.at), step.fire);
  const [inC, outC, kernel, stride, padding] = step.conv;
  const layer = conv2dLayer(d.in(step.at), inC, outC, { kernel, stride, padding });
  return (x) => relu(layer(x));
}

/** 1×1 to few channels, then 1×1 and 3×3 side by side (Iandola et al. 2016, figure 1). */
function fireModule(d: Declarations, [inC, squeezed, expanded]: readonly [number, number, number]): Layer {
  const squeeze = conv2dLayer(d.in("squeeze"), inC, squeezed, { kernel: 1 });
  const narrow = conv2dLayer(d.in("expand1x1"), squeezed, expanded, { kernel: 1 });
  const wide = conv2dLayer(d.in("expand3x3"), squeezed, expanded);
  return (x) => {
    const s = relu(squeeze(x));
    return concat([relu(narrow(s)), relu(wide(s))], 1);
  };
}
