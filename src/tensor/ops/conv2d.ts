import {
  convBiasGradient,
  convForward,
  convInputGradient,
  convWeightGradient,
} from "../../kernels/conv2d.ts";
import type { ConvShape } from "../../kernels/conv2d-shape.ts";
import type { HasBuffer } from "../../kernels/kernel.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectFloat, expectRank, expectShape } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface ConvOptions {
  /** Step between output pixels in input pixels, on both axes; 1 without one. */
  readonly stride?: number;
  /** Zeros added on each side of each axis; 0 without one. */
  readonly padding?: number;
}

/** A 1-d convolution is a 2-d one of height 1. */
const plane = (shape: Shape): Shape =>
  shape.length === 3 ? [shape[0] ?? 0, shape[1] ?? 0, 1, shape[2] ?? 0] : shape;

function sizes(xShape: Shape, wShape: Shape, { stride = 1, padding = 0 }: ConvOptions): ConvShape {
  const [n = 0, c = 0, h = 0, w = 0] = plane(xShape);
  const [o = 0, , kh = 0, kw = 0] = plane(wShape);
  const padY = xShape.length === 3 ? 0 : padding;
  const oh = Math.floor((h + 2 * padY - kh) / stride) + 1;
  const ow = Math.floor((w + 2 * padding - kw) / stride) + 1;
  return { n, c, h, w, o, kh, kw, oh, ow, stride, padY, padX: padding };
}

/** The convolution whose input gradient is the transposed convolution x[n,i,h,w] * w[i,o,kh,kw] -> [n,o,...]. */
function transposedSizes(xShape: Shape, wShape: Shape, { stride = 1, padding = 0 }: ConvOptions): ConvShape {
  const [n = 0, i = 0, h = 0, w = 0] = xShape;
  const [, c = 0, kh = 0, kw = 0] = wShape;
  const size = (v: number, k: number): number => (v - 1) * stride - 2 * padding + k;
  return {
    n,
    c,
    h: size(h, kh),
    w: size(w, kw),
    o: i,
    kh,
    kw,
    oh: h,
    ow: w,
    stride,
    padY: padding,
    padX: padding,
  };
}

/** Weights without what kernels keep of constants: forms for gradients as well would double what those take, for some 4 % of a step (Winograd's). */
const withoutForms = ({ buffer, offset, bytes, half }: Tensor): HasBuffer => ({
  buffer,
  offset,
  bytes,
  half,
});

function checkOptions(op: string, { stride = 1, padding = 0 }: ConvOptions): void {
  if (!Number.isInteger(stride) || stride < 1)
    throw new ShapeError(`${op}: stride ${stride}; expected a whole number of 1 at least`);
  if (!Number.isInteger(padding) || padding < 0)
    throw new ShapeError(`${op}: padding ${padding}; expected a whole number of 0 at least`);
}

function check(op: string, rank: number, channelAxis: number) {
  return (x: Tensor, w: Tensor, b: Tensor | null, options: ConvOptions = {}): void => {
    expectFloat(op, x, w);
    expectFloat(op, w, x, "w");
    if (b) expectDtype(op, b, "f32", "b");
    expectRank(op, x, rank, "x");
    expectRank(op, w, rank, "w");
    checkOptions(op, options);
    if (x.shape[1] !== w.shape[channelAxis])
      throw new ShapeError(
        `${op}: x ${showShape(x.shape)} has ${x.shape[1]} channels, w ${showShape(w.shape)} takes ${w.shape[channelAxis]}`,
      );
    if (b) expectShape(op, b, [w.dim(1 - channelAxis)], "b");
    const s =
      channelAxis === 1 ? sizes(x.shape, w.shape, options) : transposedSizes(x.shape, w.shape, options);
    if (Math.min(s.n, s.c, s.o, s.kh, s.kw, s.oh, s.ow, s.h, s.w) < 1)
      throw new ShapeError(
        `${op}: x ${showShape(x.shape)} and w ${showShape(w.shape)} with stride ${s.stride} and padding ${s.padX} leave no output`,
      );
  };
}

/** ConvOptions of a convolution, and what is added to its result. */
export interface ConvolutionOptions extends ConvOptions {
  /** Of the result's shape and of x's dtype: added where the result is stored, one pass over memory less than `add`. */
  readonly residual?: Tensor | null;
}

function convolution(name: string, rank: number) {
  const checkShapes = check(name, rank, 1);
  const outShape = (s: ConvShape): Shape => (rank === 3 ? [s.n, s.o, s.ow] : [s.n, s.o, s.oh, s.ow]);
  const op = defineOp<[Tensor, Tensor, Tensor | null, Tensor | null], [options: ConvOptions]>(name, {
    inputs: 4,
    half: true,
    check(x, w, bias, residual, options) {
      checkShapes(x, w, bias, options);
      if (!residual) return;
      expectDtype(name, residual, x.dtype, "residual");
      expectShape(name, residual, outShape(sizes(x.shape, w.shape, options)), "residual");
    },
    forward(x, w, bias, residual, options) {
      const s = sizes(x.shape, w.shape, options);
      const out = x.engine.empty(outShape(s), x.dtype, name);
      convForward(x.device, { x, w, bias, residual, out }, s);
      return { out };
    },
    save: (_, x, w) => [w.requiresGrad ? x : null, x.requiresGrad ? w : null],
    backward(dy, [x, w], needs, xShape, wShape, bShape, _, options) {
      const { engine, device } = dy;
      const s = sizes(xShape, wShape, options);
      const empty = (shape: Shape): Tensor => engine.empty(shape, "f32", `${name} gradient`);
      const [dx, dw, db] = [
        needs[0] ? empty(xShape) : null,
        needs[1] ? empty(wShape) : null,
        needs[2] && bShape ? empty(bShape) : null,
      ];
      if (dx) convInputGradient(device, { dy, w: withoutForms(w as Tensor), bias: null, out: dx }, s);
      if (dw) convWeightGradient(device, { x: x as Tensor, dy, out: dw }, s);
      if (db) convBiasGradient(device, { dy, out: db }, { n: s.n, o: s.o, plane: s.oh * s.ow });
      return [dx, dw, db, needs[3] ? dy : null];
    },
  });
  return (x: Tensor, w: Tensor, b: Tensor | null, options: ConvolutionOptions = {}): Tensor =>
    op(x, w, b, options.residual ?? null, options);
}

/**
 * y[n,o,i,j] = b[o] + sum over c,k,l of w[o,c,k,l]·x[n,c,i·stride + k - padding, j·stride + l - padding] (PyTorch's conv2d, a
 * correlation), plus the residual where one is given. x: f32[N,C,H,W], w: f32[O,C,KH,KW], b: f32[O] or null; y and the residual:
 * f32[N,O,OH,OW] with OH = floor((H + 2·padding - KH)/stride) + 1. Any sizes; x, w, residual and y may be f16. Saves x for the gradient of w, w for that of x, only
 * where needed.
 */
export const conv2d = convolution("conv2d", 4);

/** conv2d of height 1: x: f32[N,C,L], w: f32[O,C,K], b: f32[O] or null; y: f32[N,O,floor((L + 2·padding - K)/stride) + 1]. */
export const conv1d = convolution("conv1d", 3);

/**
 * The gradient of sum(conv2d(x, w, null, options)·dy) by w alone, without the convolution (PyTorch's nn.grad.conv2d_weight; that
 * by x is convTranspose2d). x: f32[N,C,H,W], dy: f32[N,O,OH,OW] as conv2d gives it, wShape: [O,C,KH,KW], the result's shape.
 * Has no gradient of its own.
 */
export const conv2dWeightGradient = defineOp<[Tensor, Tensor], [wShape: Shape, options?: ConvOptions]>(
  "conv2dWeightGradient",
  {
    inputs: 2,
    check(x, dy, wShape, options = {}) {
      const op = "conv2dWeightGradient";
      for (const [t, what] of [
        [x, "x"],
        [dy, "dy"],
      ] as const) {
        expectDtype(op, t, "f32", what);
        expectRank(op, t, 4, what);
      }
      checkOptions(op, options);
      if (wShape.length !== 4 || wShape[1] !== x.shape[1])
        throw new ShapeError(
          `${op}: wShape ${showShape(wShape)} for x ${showShape(x.shape)}; expected [o, ${x.shape[1]}, kh, kw]`,
        );
      const s = sizes(x.shape, wShape, options);
      if (Math.min(s.n, s.c, s.o, s.kh, s.kw, s.oh, s.ow) < 1)
        throw new ShapeError(
          `${op}: x ${showShape(x.shape)} and wShape ${showShape(wShape)} leave no output`,
        );
      expectShape(op, dy, [s.n, s.o, s.oh, s.ow], "dy");
    },
    forward(x, dy, wShape, options = {}) {
      const out = x.engine.empty(wShape, "f32", "conv2dWeightGradient");
      convWeightGradient(x.device, { x, dy, out }, sizes(x.shape, wShape, options));
      return { out };
    },
  },
);

/**
 * Transposed convolution: the input gradient of conv2d with the same w, plus b (PyTorch's conv_transpose2d).
 * x: f32[N,I,H,W], w: f32[I,O,KH,KW], b: f32[O] or null; y: f32[N,O,(H - 1)·stride - 2·padding + KH, …]. Saves as conv2d.
 */
export const convTranspose2d = defineOp<[Tensor, Tensor, Tensor | null], [options?: ConvOptions]>(
  "convTranspose2d",
  {
    inputs: 3,
    check: check("convTranspose2d", 4, 0),
    forward(x, w, bias, options = {}) {
      const s = transposedSizes(x.shape, w.shape, options);
      const out = x.engine.empty([s.n, s.c, s.h, s.w], "f32", "convTranspose2d");
      convInputGradient(x.device, { dy: x, w, bias, out }, s);
      return { out };
    },
    save: (_, x, w) => [w.requiresGrad ? x : null, x.requiresGrad ? w : null],
    backward(dy, [x, w], needs, xShape, wShape, bShape, options = {}) {
      const { engine, device } = dy;
      const s = transposedSizes(xShape, wShape, options);
      const empty = (shape: Shape): Tensor => engine.empty(shape, "f32", "convTranspose2d gradient");
      const [dx, dw, db] = [
        needs[0] ? empty(xShape) : null,
        needs[1] ? empty(wShape) : null,
        needs[2] && bShape ? empty(bShape) : null,
      ];
      if (dx) convForward(device, { x: dy, w: w as Tensor, bias: null, residual: null, out: dx }, s);
      if (dw) convWeightGradient(device, { x: dy, dy: x as Tensor, out: dw }, s);
      if (db) convBiasGradient(device, { dy, out: db }, { n: s.n, o: s.c, plane: s.h * s.w });
      return [dx, dw, db];
    },
  },
);
