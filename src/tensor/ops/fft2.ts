import { fftAxis, type ComplexBuffers } from "../../kernels/fft.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectShape } from "../op.ts";
import { showShape, type Shape } from "../shape.ts";
import type { Engine } from "../engine.ts";
import type { Tensor } from "../tensor.ts";
import { reshape } from "./reshape.ts";
import { slice } from "./slice.ts";

export interface Fft2Options {
  /** Positive exponents; divides by h*w unless `ortho`. */
  readonly inverse?: boolean;
  /** Origin and zero frequency in the middle: fftshift(fft2(ifftshift(x))). */
  readonly centered?: boolean;
  /** Divides by sqrt(h*w), which makes the transform unitary. */
  readonly ortho?: boolean;
}

/** A complex tensor as its two parts of one shape. */
export interface Complex {
  readonly re: Tensor;
  readonly im: Tensor;
}

interface Transform {
  readonly sign: -1 | 1;
  readonly centered: boolean;
  readonly factor: number;
}

/** Rows, then columns. The result is f32[2, ...shape], real parts first. */
function transform(engine: Engine, from: ComplexBuffers, shape: Shape, t: Transform): Tensor {
  const [h, w] = [shape.at(-2) ?? 1, shape.at(-1) ?? 1];
  const size = shape.reduce((a, b) => a * b, 1);
  let last: Tensor | undefined;
  let before: Tensor | undefined;
  const next = (): Tensor => {
    // What the pass before the last one wrote has been read by now: its memory serves again.
    before?.dispose("a later pass has read it");
    before = last;
    return (last = engine.empty([2, ...shape], "f32", "fft2"));
  };
  const rows = fftAxis(engine.device, from, { batch: size / w, n: w, inner: 1, ...t, factor: 1 }, next);
  const half = { re: rows, im: rows, half: size };
  return fftAxis(engine.device, half, { batch: size / (h * w), n: h, inner: w, ...t }, next);
}

const op = defineOp<[Tensor, Tensor | null], [Transform]>("fft2", {
  inputs: 2,
  check(re, im) {
    expectDtype("fft2", re, "f32", "re");
    if (re.shape.length < 2)
      throw new ShapeError(`fft2: re has shape ${showShape(re.shape)}; expected two axes or more`);
    if (!im) return;
    expectDtype("fft2", im, "f32", "im");
    expectShape("fft2", im, re.shape, "im");
  },
  forward: (re, im, t) => ({ out: transform(re.engine, { re, im, half: 0 }, re.shape, t) }),
  // The transpose of the transform, as a real map of (re, im), is the one with the other sign and the same factor.
  backward(dy, _saved, needs, shape, _imShape, t) {
    const sign = t.sign === 1 ? -1 : 1;
    const g = transform(dy.engine, { re: dy, im: dy, half: dy.size / 2 }, shape, { ...t, sign });
    return [0, 1].map((k) => (needs[k] ? part(g, k) : null));
  },
});

const part = (packed: Tensor, k: number): Tensor =>
  reshape(slice(packed, [k], [k + 1]), packed.shape.slice(1));

/**
 * Two-dimensional discrete Fourier transform over the last two axes, any sizes (mixed radix; prime factors cost their size).
 * re, im: f32[..., h, w], im null for real data; result: both parts of that shape. Gradients by re and im. Cooley and Tukey
 * 1965, Stockham's ordering.
 */
export function fft2(
  re: Tensor,
  im: Tensor | null = null,
  { inverse = false, centered = false, ortho = false }: Fft2Options = {},
): Complex {
  const size = (re.shape.at(-2) ?? 1) * (re.shape.at(-1) ?? 1);
  const factor = ortho ? 1 / Math.sqrt(size) : inverse ? 1 / size : 1;
  const packed = op(re, im, { sign: inverse ? 1 : -1, centered, factor });
  return { re: part(packed, 0), im: part(packed, 1) };
}
