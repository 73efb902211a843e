import { maxPoolBackward, maxPoolForward, type Windows } from "../../kernels/max-pool.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface MaxPoolOptions {
  /** Side of the windows. */
  readonly kernel: number;
  /** Pixels from one window to the next; the windows' side without one. */
  readonly stride?: number;
  /** How far the first window stands outside, at most half of its side; 0 without one. */
  readonly padding?: number;
  /** Whether a window that reaches over the end counts, when it begins inside (PyTorch's ceil_mode). */
  readonly ceil?: boolean;
}

function windowsOf(
  shape: Shape,
  { kernel: k, stride = k, padding = 0, ceil = false }: MaxPoolOptions,
): Windows {
  const [n = 0, c = 0, bigH = 0, bigW = 0] = shape;
  const size = (big: number): number => {
    const steps = (big + 2 * padding - k) / stride;
    const count = (ceil ? Math.ceil(steps) : Math.floor(steps)) + 1;
    return (count - 1) * stride >= big + padding ? count - 1 : count;
  };
  return { planes: n * c, h: size(bigH), w: size(bigW), bigH, bigW, k, stride, padding };
}

/**
 * Largest element of each window. x: f32[n, c, h, w]; result f32[n, c, h', w'], h' = ⌊(h + 2 padding − kernel) / stride⌋ + 1, or
 * rounded up with `ceil`; padding counts for nothing. Saves the places of the largest; of equal ones the first gets the gradient.
 */
export const maxPool2d = defineOp<[Tensor], [options: MaxPoolOptions], { out: Tensor; place: Tensor }>(
  "maxPool2d",
  {
    inputs: 1,
    check(x, options) {
      expectDtype("maxPool2d", x, "f32");
      expectRank("maxPool2d", x, 4);
      const { kernel, stride = kernel, padding = 0 } = options;
      if (![kernel, stride].every((v) => Number.isInteger(v) && v >= 1))
        throw new ShapeError(
          `maxPool2d: kernel ${kernel}, stride ${stride}; expected whole numbers from 1 on`,
        );
      if (!Number.isInteger(padding) || padding < 0 || 2 * padding > kernel)
        throw new ShapeError(`maxPool2d: padding ${padding}; expected 0 to half of the kernel, ${kernel}`);
      const { h, w } = windowsOf(x.shape, options);
      if (h < 1 || w < 1)
        throw new ShapeError(`maxPool2d: no window of ${kernel} x ${kernel} fits into ${showShape(x.shape)}`);
    },
    forward(x, options) {
      const windows = windowsOf(x.shape, options);
      const shape = [x.dim(0), x.dim(1), windows.h, windows.w];
      const out = x.engine.empty(shape, "f32", "maxPool2d");
      const place = x.engine.empty(shape, "u32", "maxPool2d places");
      maxPoolForward(x.device, { source: x, out, place }, windows);
      return { out, place };
    },
    save: ({ place }) => [place],
    backward(dy, [place], _needs, shape, options) {
      const out = dy.engine.empty(shape, "f32", "maxPool2d gradient");
      maxPoolBackward(dy.device, { dy, chosen: place as Tensor, out }, windowsOf(shape, options));
      return [out];
    },
  },
);
