import {
  affine,
  backprojection,
  lincomb,
  matmul,
  mul,
  pixelBackprojection,
  radon,
  type Engine,
  type Tensor,
} from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { linearOperator, type ImageSize, type Operator } from "../operator.ts";

export interface CtOptions {
  /** Number of angles: sparse where small. */
  readonly numAngles: number;
  /** Degrees over which they are spread, θ_i = range·i/numAngles: limited below 180. */
  readonly angleRange: number;
  /** Rays as the side, and only the disc inside the picture is reconstructed; else the picture lies inside all rays. */
  readonly circle: boolean;
}

export const ctDefaults: CtOptions = { numAngles: 60, angleRange: 180, circle: false };

/**
 * ct: parallel-beam Radon transform, [C,H,W] → [C,L,angles], L = ⌈√2·max(H,W)⌉ rays (max(H,W) with circle). Aᵀ is the exact
 * adjoint, A† filtered back-projection with the ramp filter (Kak & Slaney 1988, section 3.3; A A† A = A does not hold). "deft" takes
 * the unfiltered back-projection for Aᵀ and the filtered one for the gradient.
 */
export function ct(engine: Engine, inShape: ImageSize, options: Partial<CtOptions> = {}): Operator {
  const { numAngles, angleRange, circle } = { ...ctDefaults, ...options };
  const [c, height, width] = inShape;
  if (!Number.isInteger(numAngles) || numAngles < 1)
    throw new UserError(`ct: ${numAngles} angles; expected a whole number from 1 on`);
  if (!(angleRange > 0 && angleRange <= 180))
    throw new UserError(`ct: angles over ${angleRange} degrees; expected above 0 and up to 180`);
  const length = raysOf(inShape, circle);
  const plan = { height, width, length };
  const directions = engine.tensor(turns(numAngles, angleRange), [numAngles, 2], "ct directions");
  const ramp = engine.tensor(rampFilter(length), [length, length], "ct filter");
  const disc = circle ? engine.tensor(discOf(height, width), [height, width], "ct disc") : null;
  const weight = ((Math.PI / 2 / numAngles) * angleRange) / 180;
  const unfiltered = (y: Tensor) => {
    const sum = affine(pixelBackprojection(y, directions, plan), weight, 0);
    return disc ? mul(sum, disc) : sum;
  };
  const pinv = (y: Tensor) => unfiltered(matmul(ramp, y));
  const adjoint = (y: Tensor) => backprojection(y, directions, plan);
  const apply = (x: Tensor) => radon(x, directions, plan);
  return linearOperator({
    name: "ct",
    inShape,
    outShape: [c, length, numAngles],
    isPicture: false,
    held: [directions, ramp, ...(disc ? [disc] : [])],
    apply,
    adjoint: (y, convention = "exact") => (convention === "deft" ? unfiltered(y) : adjoint(y)),
    pinv,
    residualGradient: (y, x, convention) =>
      (convention === "deft" ? pinv : adjoint)(lincomb(1, y, -1, apply(x))),
  });
}

/** Rays at each angle. */
const raysOf = ([, height, width]: ImageSize, circle: boolean): number => {
  const side = Math.max(height, width);
  return circle ? side : Math.ceil(Math.SQRT2 * side);
};

/** Cosine and sine of every angle. */
function turns(n: number, range: number): Float32Array<ArrayBuffer> {
  const angles = Array.from({ length: n }, (_, i) => ((range * i) / n) * (Math.PI / 180));
  return Float32Array.from(angles.flatMap((a) => [Math.cos(a), Math.sin(a)]));
}

/** The ramp filter along the detector as a matrix: twice f[i − j], f[0] = ¼, f[odd n] = −1/(πn)², else 0. */
function rampFilter(length: number): Float32Array<ArrayBuffer> {
  const f = (n: number) => (n === 0 ? 0.25 : n % 2 === 0 ? 0 : -1 / (Math.PI * n) ** 2);
  const at = (k: number) => 2 * f(Math.abs(Math.floor(k / length) - (k % length)));
  return Float32Array.from({ length: length * length }, (_, k) => at(k));
}

/** 1 in the disc that touches the edges of the surrounding square, else 0. */
function discOf(h: number, w: number): Float32Array<ArrayBuffer> {
  const side = Math.max(h, w);
  const [top, left] = [h, w].map((v) => Math.floor(side / 2) - Math.floor(v / 2)) as [number, number];
  const square = (i: number) => (side === 1 ? 0 : (2 * i) / (side - 1) - 1) ** 2;
  return Float32Array.from({ length: h * w }, (_, k) =>
    square(Math.floor(k / w) + top) + square((k % w) + left) <= 1 ? 1 : 0,
  );
}

export const ctKind: DegradationKind = {
  word: "ct",
  title: "Computed tomography",
  effect: "measured as a sinogram, sums along parallel rays",
  likelihood: "ct",
  // A flat picture of side S gives rays of length S, S of them at each angle. Filtered, it comes back as it was.
  gain: ([, h, w], _n, { ct: o }, convention) =>
    convention === "deft" ? 1 : 1 / ((o.numAngles ?? ctDefaults.numAngles) * Math.max(h, w)),
  outShape(shape, _n, resources) {
    const { numAngles, circle } = { ...ctDefaults, ...resources?.ct };
    return [shape[0], raysOf(shape, circle), numAngles];
  },
  prepare: (shape, _n, resources) => ({ make: (engine) => ct(engine, shape, resources.ct) }),
};
