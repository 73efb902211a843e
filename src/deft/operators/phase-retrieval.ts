import {
  add,
  affine,
  clamp,
  div,
  fft2,
  lincomb,
  maximum,
  mul,
  pad,
  slice,
  sqrt,
  square,
  sub,
  type Complex,
  type Tensor,
} from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { defineOperator, type ImageSize, type Operator } from "../operator.ts";

export interface PhaseOptions {
  /** The image is padded by oversample/8 of its side, on each side of each axis. */
  readonly oversample: number;
  /** Steps of the hybrid input-output estimate, and its feedback β (Fienup 1982). */
  readonly iterations: number;
  readonly beta: number;
}

export const phaseDefaults: PhaseOptions = { oversample: 2, iterations: 10, beta: 0.9 };

/** Zeros before and behind a side. */
const margin = (side: number, oversample: number): number => Math.floor((oversample * side) / 8);

const TRANSFORM = { centered: true, ortho: true };

/**
 * phase_retrieval: y = |F pad((x+1)/2)|, F the centred orthonormal transform, [C,H,W] → [C,H+2p,W+2q], p = ⌊oversample·H/8⌋.
 * A† y = 2·crop|F⁻¹ y| − 1. Conditioning: x̂0 with the measured magnitudes, and a hybrid-input-output estimate that starts from
 * x̂0. Guidance: the true gradient, at x_t; "deft" takes it by (x+1)/2, twice as large.
 */
export function phaseRetrieval(inShape: ImageSize, options: Partial<PhaseOptions> = {}): Operator {
  const { oversample, iterations, beta } = { ...phaseDefaults, ...options };
  const [c, h, w] = inShape;
  if (!(oversample >= 0))
    throw new UserError(`phase_retrieval: oversample is ${oversample}; expected 0 or more`);
  const [top, left] = [margin(h, oversample), margin(w, oversample)];
  const place = (x: Tensor) =>
    pad(affine(x, 0.5, 0.5), [
      [top, top],
      [left, left],
    ]);
  const crop = (z: Tensor) => slice(z, [0, 0, top, left], [z.dim(0), c, top + h, left + w]);
  const picture = (z: Complex) => affine(crop(magnitude(z)), 2, -1);
  const apply = (x: Tensor) => x.engine.scope(() => magnitude(fft2(place(x), null, TRANSFORM)));
  /** crop Re F⁻¹(v·Fz/|Fz|): the gradient by (x+1)/2. */
  const pullback = (x: Tensor, v: Tensor) =>
    x.engine.scope(() => crop(backwards(withMagnitude(v, fft2(place(x), null, TRANSFORM))).re));
  const pinv = (y: Tensor) => y.engine.scope(() => picture(backwards({ re: y, im: affine(y, 0, 0) })));
  const withMeasured = (x: Tensor, y: Tensor) =>
    y.engine.scope(() => picture(backwards(withMagnitude(y, fft2(place(x), null, TRANSFORM)))));
  return defineOperator({
    name: "phase_retrieval",
    inShape,
    outShape: [c, h + 2 * top, w + 2 * left],
    apply,
    adjoint: pinv,
    pinv,
    vjp: (x, v) => affine(pullback(x, v), 0.5, 0),
    isPicture: false,
    guidanceAt: "xt",
    project: withMeasured,
    conditioning: (y, x0Hat) => [
      withMeasured(x0Hat, y),
      hybridInputOutput(
        { y, start: place(x0Hat), inside: place(affine(x0Hat, 0, 1)), iterations, beta },
        crop,
      ),
    ],
    residualGradient(y, x, convention) {
      const g = pullback(x, lincomb(1, y, -1, apply(x)));
      return convention === "deft" ? g : affine(g, 0.5, 0);
    },
  });
}

interface Estimate {
  /** Magnitudes. */
  readonly y: Tensor;
  /** The padded picture to start from, and its support: 1 inside, 0 outside. */
  readonly start: Tensor;
  readonly inside: Tensor;
  readonly iterations: number;
  readonly beta: number;
}

/**
 * Fienup 1982, eq. 44: z′ = Re F⁻¹(y·Fz/|Fz|); then z ← z′ where z′ lies in the support and in [0, 1], else z − β z′. Ends with z′ in
 * the support, in [-1, 1].
 */
function hybridInputOutput(e: Estimate, crop: (z: Tensor) => Tensor): Tensor {
  const { engine } = e.y;
  const project = (z: Tensor) => backwards(withMagnitude(e.y, fft2(z, null, TRANSFORM))).re;
  let z = e.start;
  for (let k = 0; k < e.iterations; k++)
    z = engine.scope(() => {
      const next = project(z);
      const feedback = lincomb(1, z, -e.beta, next);
      const kept = mul(e.inside, unitInterval(next));
      return add(feedback, mul(kept, sub(next, feedback)));
    });
  return engine.scope(() => affine(clamp(crop(project(z)), 0, 1), 2, -1));
}

/** 1 where 0 <= z <= 1, else 0. */
function unitInterval(z: Tensor): Tensor {
  const outside = sub(z, clamp(z, 0, 1));
  return affine(clamp(affine(square(outside), 1e30, 0), 0, 1), -1, 1);
}

const backwards = (z: Complex): Complex => fft2(z.re, z.im, { ...TRANSFORM, inverse: true });

const magnitude = ({ re, im }: Complex): Tensor => sqrt(add(square(re), square(im)));

/** z with the magnitudes y; 0 where z is 0. */
function withMagnitude(y: Tensor, z: Complex): Complex {
  const size = magnitude(z);
  const factor = div(y, maximum(size, size.engine.tensor([1e-20])));
  return { re: mul(z.re, factor), im: mul(z.im, factor) };
}

export const phaseRetrievalKind: DegradationKind = {
  word: "phase_retrieval",
  title: "Phase retrieval",
  effect: "measured as the magnitudes of its Fourier transform",
  likelihood: "phase_retrieval",
  ownChannels: (channels) => 2 * channels,
  // A halves, and so does its gradient; "deft" leaves out the latter.
  gain: (_shape, _n, _resources, convention) => (convention === "deft" ? 2 : 4),
  outShape([c, h, w], _n, resources) {
    const { oversample } = { ...phaseDefaults, ...resources?.phase };
    return [c, h + 2 * margin(h, oversample), w + 2 * margin(w, oversample)];
  },
  prepare: (shape, _n, { phase }) => ({ make: () => phaseRetrieval(shape, phase) }),
};
