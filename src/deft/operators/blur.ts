import { conv2d, convTranspose2d, reshape, type Engine, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise, type Footprint } from "../footprint.ts";
import { linearOperator, type ImageSize, type Operator } from "../operator.ts";
import { leastSquares } from "./least-squares.ts";
import { continuation, continued, folded, type Continuation } from "./padding.ts";

/** A blur kernel on the host, row by row. */
export interface BlurKernel {
  readonly values: ArrayLike<number>;
  readonly height: number;
  readonly width: number;
}

export interface BlurOptions {
  /** How the picture goes on outside; `valid`: only where the kernel lies inside. */
  readonly padding: Continuation | "valid";
  /** Steps of conjugate gradients behind A†. */
  readonly steps: number;
  /** Refuse a kernel whose values do not sum to one, which would also change the brightness. */
  readonly isNormalised: boolean;
}

export const blurDefaults: BlurOptions = { padding: "reflect", steps: 200, isNormalised: true };

/** Largest difference of a kernel's sum from one. */
const SUM_TOLERANCE = 1e-3;

/**
 * Convolution of every channel with a kernel (flipped, as convolutions are): [C,H,W] → [C,H,W] for odd kernels, smaller with
 * `valid`. Aᵀ is the exact adjoint, A† least squares by conjugate gradients.
 */
export function blur(
  engine: Engine,
  kernel: BlurKernel,
  inShape: ImageSize,
  options: Partial<BlurOptions> = {},
): Operator {
  const { padding, steps, isNormalised } = { ...blurDefaults, ...options };
  const { height: kh, width: kw } = kernel;
  const [c, h, w] = inShape;
  checkKernel(kernel, isNormalised);
  checkSize(kernel, inShape, padding);
  const flipped = Float32Array.from(kernel.values).reverse();
  const weight = engine.tensor(flipped, [1, 1, kh, kw], "blur kernel");
  const isValid = padding === "valid";
  const [top, left] = isValid ? [0, 0] : [kh >> 1, kw >> 1];
  const edges = isValid
    ? null
    : ([continuation(engine, padding, h, top, top), continuation(engine, padding, w, left, left)] as const);
  const planes = (x: Tensor) => reshape(x, [x.dim(0) * c, 1, x.dim(2), x.dim(3)]);
  const images = (x: Tensor) => reshape(x, [x.dim(0) / c, c, x.dim(2), x.dim(3)]);
  const apply = (x: Tensor) =>
    x.engine.scope(() => images(conv2d(planes(edges ? continued(x, ...edges) : x), weight, null)));
  const adjoint = (y: Tensor) =>
    y.engine.scope(() => {
      const wide = images(convTranspose2d(planes(y), weight, null));
      return edges ? folded(wide, ...edges) : wide;
    });
  return linearOperator({
    name: "blur",
    inShape,
    outShape: blurred(kernel, inShape, padding),
    held: [weight, ...(edges ?? [])],
    apply,
    adjoint,
    pinv: (y) => leastSquares({ apply, adjoint }, y, steps),
  });
}

/** The blurred image's shape: a kernel of even sides gives one more. */
function blurred(
  { height, width }: BlurKernel,
  [c, h, w]: ImageSize,
  padding: BlurOptions["padding"] = blurDefaults.padding,
): ImageSize {
  const along = (side: number, kernel: number) =>
    side + 1 - kernel + (padding === "valid" ? 0 : 2 * (kernel >> 1));
  return [c, along(h, height), along(w, width)];
}

/** Throws a UserError for a kernel that does not fit inside with `valid`, or that reaches beyond every pixel and its like outside. */
function checkSize(
  { height, width }: BlurKernel,
  [, h, w]: ImageSize,
  padding: BlurOptions["padding"],
): void {
  const most = (side: number) => (padding === "valid" ? side : 2 * side - 1);
  if (height > most(h) || width > most(w))
    throw new UserError(
      `blur: kernel ${height}x${width} for images ${h}x${w}; expected at most ${most(h)}x${most(w)}, make the kernel smaller`,
    );
}

/** Throws a UserError unless the kernel has its values and, when asked, they sum to one. */
export function checkKernel({ values, height, width }: BlurKernel, isNormalised = true): void {
  if (values.length !== height * width || values.length === 0)
    throw new UserError(`blur: a kernel of ${values.length} values; expected ${height}x${width}`);
  const sum = Array.from(values).reduce((a, b) => a + b, 0);
  if (isNormalised && !(Math.abs(sum - 1) <= SUM_TOLERANCE))
    throw new UserError(
      `blur: the kernel's values sum to ${Number(sum.toPrecision(6))}; expected 1, divide the kernel by its sum`,
    );
}

const NO_KERNEL = "likelihood.forward_op.kernel_filename: not given; expected the kernel of algo.deg=blur";

export const blurKind: DegradationKind = {
  word: "blur",
  title: "Deblurring",
  effect: "blurred with a given kernel",
  likelihood: "blur",
  file: "kernel_filename",
  footprint: (_shape, _n, { kernel, blur: options }) => footprintOf(kernel, options),
  outShape: (shape, _n, resources) =>
    resources?.kernel ? blurred(resources.kernel, shape, resources.blur.padding) : shape,
  prepare(shape, _n, { kernel, blur: options }) {
    if (!kernel) throw new UserError(NO_KERNEL);
    checkKernel(kernel);
    checkSize(kernel, shape, { ...blurDefaults, ...options }.padding);
    return { make: (engine) => blur(engine, kernel, shape, options) };
  },
};

function footprintOf(kernel: BlurKernel | null, options: Partial<BlurOptions>): Footprint {
  if (!kernel) throw new UserError(NO_KERNEL);
  const { padding } = { ...blurDefaults, ...options };
  const { height, width } = kernel;
  // Around a torus, opposite edges of the picture are neighbours.
  if (padding === "circular") return { ...pixelwise, halo: Infinity };
  if (padding === "valid") return { ...pixelwise, lost: [height - 1, width - 1] };
  const lost = (taps: number) => taps - 1 - 2 * (taps >> 1);
  return { ...pixelwise, halo: Math.max(height, width) >> 1, lost: [lost(height), lost(width)] };
}
