import { pad as padKernel, type PadAxis } from "../../kernels/movement.ts";
import { reflectionPadBackward, reflectionPadForward } from "../../kernels/reflection-pad.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectRank } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { slice } from "./slice.ts";

/** Elements before and after, along one axis. */
export type Padding = readonly [before: number, after: number];

/** One padding for each axis: the given ones belong to the last axes. */
function axesOf(shape: Shape, pads: readonly Padding[]): PadAxis[] {
  return shape.map((limit, d) => {
    const [before, after] = pads[d - shape.length + pads.length] ?? [0, 0];
    return { size: before + limit + after, before, every: 1, limit };
  });
}

/** x with `value` around it; `pads` belong to the last axes. x: f32[...]. Padding with 0 is the transpose of cropping. */
export const pad = defineOp<[Tensor], [pads: readonly Padding[], value?: number]>("pad", {
  inputs: 1,
  check(x, pads) {
    expectDtype("pad", x, "f32");
    if (pads.length > x.shape.length || pads.flat().some((v) => !Number.isInteger(v) || v < 0))
      throw new ShapeError(
        `pad: ${JSON.stringify(pads)} for ${showShape(x.shape)}; expected integers of 0 or more`,
      );
  },
  forward(x, pads, value = 0) {
    const axes = axesOf(x.shape, pads);
    const out = x.engine.empty(
      axes.map((a) => a.size),
      "f32",
      "pad",
    );
    padKernel(x.device, { x, out }, axes, value);
    return { out };
  },
  backward(dy, _saved, _needs, shape, pads) {
    const axes = axesOf(shape, pads);
    return [
      slice(
        dy,
        axes.map((a) => a.before),
        axes.map((a) => a.before + a.limit),
      ),
    ];
  },
});

/** Columns and rows added at the left, right, top and bottom (PyTorch's order). */
export type Padding2d = readonly [left: number, right: number, top: number, bottom: number];

function params(n: number, shape: Shape, [left, right, top, bottom]: Padding2d) {
  const [h, w] = [shape[2] ?? 1, shape[3] ?? 1];
  return { n, h, w, big_h: h + top + bottom, big_w: w + left + right, top, left };
}

/** x mirrored at its edges, which are not doubled. x: f32[n, c, h, w]; each padding smaller than its side. */
export const reflectionPad2d = defineOp<[Tensor], [pads: Padding2d]>("reflectionPad2d", {
  inputs: 1,
  check(x, pads) {
    expectDtype("reflectionPad2d", x, "f32");
    expectRank("reflectionPad2d", x, 4);
    const bad = pads.some((v, k) => !Number.isInteger(v) || v < 0 || v >= x.dim(k < 2 ? 3 : 2));
    if (bad || pads.length !== 4)
      throw new ShapeError(
        `reflectionPad2d: ${showShape(pads)} for ${showShape(x.shape)}; expected 4 integers from 0 to below the side`,
      );
  },
  forward(x, pads) {
    const { big_h, big_w } = params(0, x.shape, pads);
    const out = x.engine.empty([x.dim(0), x.dim(1), big_h, big_w], "f32", "reflectionPad2d");
    reflectionPadForward(x.device, { source: x, out }, params(out.size, x.shape, pads));
    return { out };
  },
  backward(dy, _saved, _needs, shape, pads) {
    const out = dy.engine.empty(shape, "f32", "reflectionPad2d gradient");
    reflectionPadBackward(dy.device, { source: dy, out }, params(out.size, shape, pads));
    return [out];
  },
});
