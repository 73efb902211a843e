import { add, affine, clamp, div, mul, square, sub, sum, type Tensor } from "../../tensor/index.ts";

/** Share of the first slope's energy below which nothing is left to be found in float32. */
const DONE = 1e-13;

/**
 * x of least norm that minimises ‖A x − y‖², image by image, after so many steps of conjugate gradients on the normal
 * equations (CGLS, Hestenes & Stiefel 1952): the pseudo-inverse where no closed form is known. What A shrinks to a share s
 * of its norm is reached after about 1/s steps.
 */
export function leastSquares(
  a: { apply: (x: Tensor) => Tensor; adjoint: (y: Tensor) => Tensor },
  y: Tensor,
  steps: number,
): Tensor {
  const { engine } = y;
  return engine.scope(() => {
    const s = a.adjoint(y);
    const start = energy(s);
    let state = { x: affine(s, 0, 0), r: affine(y, 1, 0), p: s, gamma: start };
    for (let k = 0; k < steps; k++) {
      const { x, r, p, gamma } = state;
      state = engine.scope(() => {
        const q = a.apply(p);
        const alpha = mul(ratio(gamma, energy(q)), unlessDone(gamma, start));
        const residual = sub(r, mul(alpha, q));
        const slope = a.adjoint(residual);
        const left = energy(slope);
        const next = add(slope, mul(ratio(left, gamma), p));
        return { x: add(x, mul(alpha, p)), r: residual, p: next, gamma: left };
      });
      for (const t of [x, r, p, ...(gamma === start ? [] : [gamma])]) t.dispose("the next step has read it");
    }
    return state.x;
  });
}

/** ‖t‖² of each image, [N, 1, 1, 1]. */
const energy = (t: Tensor): Tensor => sum(square(t), { axes: [1, 2, 3], keepdim: true });

/** 1, and 0 where a slope's energy has come down to rounding errors: directions are arbitrary from there on. */
const unlessDone = (gamma: Tensor, start: Tensor): Tensor =>
  clamp(affine(ratio(gamma, start), 1 / DONE, -1), 0, 1);

/** a/b, and 0 once both have vanished. */
const ratio = (a: Tensor, b: Tensor): Tensor => div(a, affine(b, 1, 1e-30));
