import {
  groupNormBackward,
  groupNormForward,
  groupNormModulation,
  groupNormParameters,
  type GroupNormProblem,
} from "../../kernels/group-norm.ts";
import { ShapeError } from "../errors.ts";
import { defineOp, expectDtype, expectFloat, expectShape } from "../op.ts";
import { showShape, sizeOf } from "../shape.ts";
import type { Tensor } from "../tensor.ts";

export interface GroupNormOptions {
  readonly groups: number;
  /** Added to the variance; default 1e-5. */
  readonly eps?: number;
  /** SiLU at the end; default false. */
  readonly silu?: boolean;
}

const problemOf = (shape: readonly number[], options: GroupNormOptions): GroupNormProblem => ({
  batch: shape[0] ?? 1,
  channels: shape[1] ?? 1,
  groups: options.groups,
  size: sizeOf(shape.slice(2)),
  eps: options.eps ?? 1e-5,
  silu: options.silu ?? false,
});

/**
 * Group norm, y = (x - mean)/sqrt(variance + eps)·gamma + beta over each group of channels of an image (biased variance);
 * with scaleShift [n, 2c] then y·(1 + scale) + shift (ADM: scale first); with `silu` then SiLU. x: f32 or
 * f16[n, c, ...spatial], gamma, beta: f32[c]. Saves x, mean and 1/sqrt(variance + eps). Wu & He 2018; Dhariwal & Nichol 2021.
 */
export const groupNorm = defineOp<
  [Tensor, Tensor, Tensor, Tensor | null],
  [GroupNormOptions],
  { out: Tensor; stats: Tensor }
>("groupNorm", {
  inputs: 4,
  half: true,
  check(x, gamma, beta, scaleShift, { groups }) {
    const [n, c] = [x.shape[0] ?? 0, x.shape[1] ?? 0];
    expectFloat("groupNorm", x, x);
    if (x.shape.length < 2 || x.size === 0 || !Number.isInteger(groups) || groups < 1 || c % groups !== 0)
      throw new ShapeError(
        `groupNorm: x has shape ${showShape(x.shape)}; expected [n, c, ...] with values and c divisible by ${groups} groups`,
      );
    for (const [t, shape, what] of [
      [gamma, [c], "gamma"],
      [beta, [c], "beta"],
      [scaleShift, [n, 2 * c], "scaleShift"],
    ] as const) {
      if (!t) continue;
      expectDtype("groupNorm", t, "f32", what);
      expectShape("groupNorm", t, shape, what);
    }
  },
  forward(x, gamma, beta, scaleShift, options) {
    const problem = problemOf(x.shape, options);
    const out = x.engine.empty(x.shape, x.dtype, "groupNorm");
    const stats = x.engine.empty([problem.batch, problem.groups, 2], "f32", "groupNorm moments");
    groupNormForward(x.device, { x, gamma, beta, scale_shift: scaleShift, out, moments: stats }, problem);
    return { out, stats };
  },
  save: ({ stats }, x, gamma, beta, scaleShift) => [stats, x, gamma, beta, scaleShift],
  backward(dy, saved, needs, shape, _gamma, _beta, scaleShape, options) {
    const problem = problemOf(shape, options);
    const { batch, channels } = problem;
    const [stats, x, gamma, beta] = saved as [Tensor, Tensor, Tensor, Tensor];
    const scale_shift = saved[4] ?? null;
    const { engine, device } = dy;
    const out = engine.empty(shape, "f32", "groupNorm gradient");
    const sums = engine.empty([batch, channels, 2], "f32", "groupNorm sums");
    groupNormBackward(device, { x, gamma, beta, scale_shift, dy, stats, out, sums }, problem);
    const launch = { batch, channels, scaled: Number(scale_shift !== null) };
    let [dGamma, dBeta, dScaleShift]: (Tensor | null)[] = [null, null, null];
    if (needs[1] || needs[2]) {
      dGamma = engine.empty([channels], "f32", "gamma gradient");
      dBeta = engine.empty([channels], "f32", "beta gradient");
      groupNormParameters(device, { sums, scale_shift, d_gamma: dGamma, d_beta: dBeta }, launch);
    }
    if (needs[3] && scaleShape) {
      dScaleShift = engine.empty(scaleShape, "f32", "scaleShift gradient");
      groupNormModulation(device, { sums, gamma, beta, d_scale_shift: dScaleShift }, launch);
    }
    return [out, dGamma ?? null, dBeta ?? null, dScaleShift ?? null];
  },
});
