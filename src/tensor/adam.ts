// The optimiser step and the moving average: in place on flat tensors, outside the tape.
import { adam, adamEma, adamValues } from "../kernels/adam.ts";
import type { Engine } from "./engine.ts";
import { ShapeError } from "./errors.ts";
import { expectDtype } from "./op.ts";
import type { Tensor } from "./tensor.ts";

/** Flat f32 tensors of one size: everything that one step touches. */
export interface AdamState {
  readonly params: Tensor;
  readonly grads: Tensor;
  /** Running mean of the gradients; zeros before the first step. */
  readonly m: Tensor;
  /** Running mean of their squares; zeros before the first step. */
  readonly v: Tensor;
  /** Moving average of the parameters; absent: none is kept. */
  readonly ema?: Tensor | null;
}

export interface AdamStepOptions {
  /** Number of this step, from 1: the bias corrections depend on it. */
  readonly step: number;
  readonly lr: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly eps: number;
  /** Decay of the moving average; absent: `ema` stays as it is. */
  readonly emaDecay?: number;
  /** L2 penalty, added to the gradient (Adam, not AdamW); default 0. */
  readonly weightDecay?: number;
}

function check(op: string, params: Tensor, others: Record<string, Tensor | null | undefined>): void {
  for (const [what, t] of Object.entries({ params, ...others })) {
    if (!t) continue;
    expectDtype(op, t, "f32", what);
    if (t.size !== params.size)
      throw new ShapeError(`${op}: ${what} has ${t.size} values, params ${params.size}; expected one size`);
  }
}

/**
 * One step of Adam (Kingma & Ba 2015) as PyTorch computes it, in place: m += (1-β1)(g-m), v = β2·v + (1-β2)g²,
 * params -= lr/(1-β1^t) · m/(√v/√(1-β2^t) + eps); then ema += (1-emaDecay)(params - ema). One dispatch over all parameters;
 * factors are computed in float64 on the host.
 */
export function adamStep(engine: Engine, state: AdamState, options: AdamStepOptions): void {
  const { params, grads, m, v } = state;
  const { step, lr, beta1, beta2, eps, emaDecay, weightDecay = 0 } = options;
  const ema = emaDecay === undefined ? null : (state.ema ?? null);
  check("adamStep", params, { grads, m, v, ema });
  const numbers = {
    n4: Math.ceil(params.size / 4),
    step_size: lr / (1 - beta1 ** step),
    inv_sqrt_correction: 1 / Math.sqrt(1 - beta2 ** step),
    eps,
    beta2,
    rest1: 1 - beta1,
    rest2: 1 - beta2,
    weight_decay: weightDecay,
    ema_weight: 1 - (emaDecay ?? 1),
  };
  const values = adamValues(engine.device);
  if (ema) adamEma(engine.device, { params, grads, m, v, ema }, numbers, values);
  else adam(engine.device, { params, grads, m, v }, numbers, values);
}
