import {
  chunksFor,
  cumprodBackward,
  cumprodForward,
  reduceRound,
  reduceSpread,
  type Fold,
} from "../../kernels/reduce.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype } from "../op.ts";
import { normalAxes, showShape, sizeOf, type Shape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface ReduceOptions {
  /** Axes that go; negative ones count from the end, null or absent means all. */
  readonly axes?: readonly number[] | null;
  /** Leaves the axes with size 1; default false. */
  readonly keepdim?: boolean;
}

export interface VarianceOptions extends ReduceOptions {
  /** Divides by n - 1 (default, as PyTorch), else by n. */
  readonly unbiased?: boolean;
}

interface Run {
  readonly reduced: boolean;
  readonly size: number;
}

/** Neighbouring axes of one sort as one, without axes of size 1. */
function runsOf(op: string, shape: Shape, axes: readonly number[] | null | undefined): Run[] {
  const gone = new Set(normalAxes(op, shape.length, axes ?? null));
  const runs: Run[] = [];
  shape.forEach((size, i) => {
    const last = runs.at(-1);
    if (size === 1) return;
    if (last?.reduced === gone.has(i)) runs[runs.length - 1] = { ...last, size: last.size * size };
    else runs.push({ reduced: gone.has(i), size });
  });
  return runs;
}

const product = (runs: readonly Run[]): number => runs.reduce((a, r) => a * r.size, 1);
const countOf = (op: string, shape: Shape, axes: ReduceOptions["axes"]): number =>
  product(runsOf(op, shape, axes).filter((r) => r.reduced));

function resultShape(op: string, shape: Shape, { axes, keepdim }: ReduceOptions): number[] {
  const gone = new Set(normalAxes(op, shape.length, axes ?? null));
  return shape.flatMap((v, i) => (gone.has(i) ? (keepdim ? [1] : []) : [v]));
}

interface FoldOptions {
  readonly op: Fold["op"];
  readonly square?: boolean;
  readonly scale?: number;
  readonly root?: boolean;
}

/** The last run of reduced axes first, each in as many rounds as the device wants; squares first, scales and roots last. */
function foldAxes(name: string, x: Tensor, options: ReduceOptions, fold: FoldOptions): Tensor {
  let runs = runsOf(name, x.shape, options.axes);
  let from = x;
  for (let first = true; ; first = false) {
    const at = runs.findLastIndex((r) => r.reduced);
    const [before, after] = at < 0 ? [runs, []] : [runs.slice(0, at), runs.slice(at + 1)];
    const length = runs[at]?.size ?? 1;
    const [outer, inner] = [product(before), product(after)];
    const chunks = chunksFor(x.device, outer, length, inner);
    const last = chunks === 1 && !before.some((r) => r.reduced);
    const shape = last ? resultShape(name, x.shape, options) : [outer, chunks, inner];
    const to = x.engine.empty(shape, "f32", name);
    reduceRound(x.device, from, to, {
      outer,
      length,
      inner,
      chunks,
      op: fold.op,
      square: first && (fold.square ?? false),
      scale: last ? (fold.scale ?? 1) : 1,
      root: last && (fold.root ?? false),
    });
    if (from !== x) from.dispose("it was folded");
    if (last) return to;
    from = to;
    runs = [...before, ...(chunks > 1 ? [{ reduced: true, size: chunks }] : []), ...after];
  }
}

interface SpreadInputs {
  readonly x?: Tensor;
  readonly y?: Tensor;
  readonly dy?: Tensor;
  readonly z?: Tensor;
}
const KINDS = ["scale", "maximum", "deviation", "variance", "std", "norm", "equal"] as const;

/** Elementwise in the shape of the reduction's input, from it and values of its result (shaders/reduce-spread.wgsl). */
function spread(
  name: string,
  kind: (typeof KINDS)[number],
  shape: Shape,
  axes: ReduceOptions["axes"],
  inputs: SpreadInputs,
  scale = 1,
): Tensor {
  const runs = runsOf(name, shape, axes);
  const kept = runs.flatMap((r, i) => (r.reduced ? [] : [i]));
  if (kept.length > 3)
    throw new ShapeError(
      `${name}: shape ${showShape(shape)} has ${kept.length} runs of kept axes; expected at most 3`,
    );
  const place = (k: number): [number, number, number] => {
    const i = kept[k];
    if (i === undefined) return [1, 1, 0];
    return [
      product(runs.slice(i + 1)),
      product(runs.slice(i, i + 1)),
      product(kept.slice(k + 1).map((j) => runs[j] as Run)),
    ];
  };
  const [[stride0, size0, out0], [stride1, size1, out1], [stride2, size2, out2]] = [
    place(0),
    place(1),
    place(2),
  ];
  const { x = null, y = null, dy = null, z = null } = inputs;
  const { engine, device } = (x ?? dy) as Tensor;
  const out = engine.empty(shape, "f32", name);
  const n = sizeOf(shape);
  reduceSpread(
    device,
    { x, y, dy, z, out },
    { n, stride0, size0, out0, stride1, size1, out1, stride2, size2, out2, scale },
    { KIND: KINDS.indexOf(kind) },
  );
  return out;
}

function check(name: string) {
  return (x: Tensor, { axes }: ReduceOptions = {}): void => {
    expectDtype(name, x, "f32");
    if (x.size === 0) throw new ShapeError(`${name}: x has shape ${showShape(x.shape)}; expected values`);
    normalAxes(name, x.shape.length, axes ?? null);
  };
}

/** Sum over axes. x: f32[...]; saves nothing. Fixed order, blocked: the same bits each time, errors near 1e-7. */
export const sum = defineOp<[Tensor], [options?: ReduceOptions]>("sum", {
  inputs: 1,
  check: check("sum"),
  forward: (x, options = {}) => ({ out: foldAxes("sum", x, options, { op: "sum" }) }),
  backward: (dy, _saved, _needs, shape, options = {}) => [
    spread("sum gradient", "scale", shape, options.axes, { dy }),
  ],
});

/** Mean over axes. x: f32[...]; saves nothing. */
export const mean = defineOp<[Tensor], [options?: ReduceOptions]>("mean", {
  inputs: 1,
  check: check("mean"),
  forward: (x, options = {}) => ({
    out: foldAxes("mean", x, options, { op: "sum", scale: 1 / countOf("mean", x.shape, options.axes) }),
  }),
  backward: (dy, _saved, _needs, shape, options = {}) => [
    spread("mean gradient", "scale", shape, options.axes, { dy }, 1 / countOf("mean", shape, options.axes)),
  ],
});

/** Largest value over axes; equal largest ones share the gradient evenly (PyTorch's amax). x: f32[...]; saves x and y. */
export const max = defineOp<[Tensor], [options?: ReduceOptions]>("max", {
  inputs: 1,
  check: check("max"),
  forward: (x, options = {}) => ({ out: foldAxes("max", x, options, { op: "max" }) }),
  save: ({ out }, x) => [x, out],
  backward(dy, saved, _needs, shape, options = {}) {
    const [x, y] = saved as [Tensor, Tensor];
    const equal = spread("max ties", "equal", shape, options.axes, { x, y });
    const z = foldAxes("max ties", equal, options, { op: "sum" });
    return [spread("max gradient", "maximum", shape, options.axes, { x, y, dy, z })];
  },
});

/** Divisor of a variance of n values. */
const divisor = (name: string, shape: Shape, { axes, unbiased = true }: VarianceOptions): number =>
  countOf(name, shape, axes) - Number(unbiased);

/** The mean and, from the deviations from it, the variance or its root. */
function moments(
  name: string,
  x: Tensor,
  options: VarianceOptions,
  root: boolean,
): { out: Tensor; mean: Tensor } {
  const { axes } = options;
  const m = foldAxes(name, x, options, { op: "sum", scale: 1 / countOf(name, x.shape, axes) });
  const squares = spread(name, "deviation", x.shape, axes, { x, y: m });
  const scale = 1 / divisor(name, x.shape, options);
  return { out: foldAxes(name, squares, options, { op: "sum", scale, root }), mean: m };
}

function checkMoments(name: string) {
  return (x: Tensor, options: VarianceOptions = {}): void => {
    check(name)(x, options);
    if (divisor(name, x.shape, options) < 1)
      throw new ShapeError(
        `${name}: one value in each result of x ${showShape(x.shape)}; expected two, or unbiased: false`,
      );
  };
}

/** Variance over axes, from deviations from the mean. x: f32[...]; saves x and the mean. */
export const variance = defineOp<[Tensor], [options?: VarianceOptions], { out: Tensor; mean: Tensor }>(
  "variance",
  {
    inputs: 1,
    check: checkMoments("variance"),
    forward: (x, options = {}) => moments("variance", x, options, false),
    save: (result, x) => [x, result.mean],
    backward(dy, saved, _needs, shape, options = {}) {
      const [x, y] = saved as [Tensor, Tensor];
      const scale = 2 / divisor("variance", shape, options);
      return [spread("variance gradient", "variance", shape, options.axes, { x, y, dy }, scale)];
    },
  },
);

/** Standard deviation over axes; its gradient is 0 where it is 0. x: f32[...]; saves x, the mean and y. */
export const std = defineOp<[Tensor], [options?: VarianceOptions], { out: Tensor; mean: Tensor }>("std", {
  inputs: 1,
  check: checkMoments("std"),
  forward: (x, options = {}) => moments("std", x, options, true),
  save: (result, x) => [x, result.mean, result.out],
  backward(dy, saved, _needs, shape, options = {}) {
    const [x, y, z] = saved as [Tensor, Tensor, Tensor];
    const scale = 1 / divisor("std", shape, options);
    return [spread("std gradient", "std", shape, options.axes, { x, y, dy, z }, scale)];
  },
});

/** Euclidean norm over axes, √Σx²; its gradient is 0 where it is 0. x: f32[...]; saves x and y. */
export const l2norm = defineOp<[Tensor], [options?: ReduceOptions]>("l2norm", {
  inputs: 1,
  check: check("l2norm"),
  forward: (x, options = {}) => ({
    out: foldAxes("l2norm", x, options, { op: "sum", square: true, root: true }),
  }),
  save: ({ out }, x) => [x, out],
  backward(dy, saved, _needs, shape, options = {}) {
    const [x, y] = saved as [Tensor, Tensor];
    return [spread("l2norm gradient", "norm", shape, options.axes, { x, y, dy })];
  },
});

function lines(shape: Shape, axis: number): { outer: number; length: number; inner: number } {
  const [at = 0] = normalAxes("cumprod", shape.length, [axis]);
  return { outer: sizeOf(shape.slice(0, at)), length: shape[at] ?? 1, inner: sizeOf(shape.slice(at + 1)) };
}

/** Cumulative product along an axis, y_k = x_0·…·x_k. x: f32[...]; saves x and y. The gradient divides by nothing. */
export const cumprod = defineOp<[Tensor], [axis: number]>("cumprod", {
  inputs: 1,
  check(x, axis) {
    expectDtype("cumprod", x, "f32");
    normalAxes("cumprod", x.shape.length, [axis]);
  },
  forward(x, axis) {
    const out = x.engine.empty(x.shape, "f32", "cumprod");
    cumprodForward(x.device, { x, out }, lines(x.shape, axis));
    return { out };
  },
  save: ({ out }, x) => [x, out],
  backward(dy, saved, _needs, shape, axis) {
    const [x, products] = saved as [Tensor, Tensor];
    const out = dy.engine.empty(shape, "f32", "cumprod gradient");
    cumprodBackward(dy.device, { x, products, dy, out }, lines(shape, axis));
    return [out];
  },
});
