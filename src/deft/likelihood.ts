import { affine, lincomb, type Tensor } from "../tensor/index.ts";
import type { Convention, Operator } from "./operator.ts";

/** What guides the h-transform: the operator's own gradient by a convention, or A† of the residual. */
export type GuidanceConvention = Convention | "pinv";

/** y = A x + σ_y n, with n standard normal in the measurement's shape; σ_y on the [-1, 1] scale. */
export function measure(operator: Operator, x: Tensor, sigmaY: number, n: Tensor | null): Tensor {
  const y = operator.apply(x);
  return n && sigmaY > 0 ? lincomb(1, y, sigmaY, n) : y;
}

/**
 * g = ∇_{x̂0} log p(y | x̂0) = Aᵀ(y − A x̂0)/σ_y², without the division when σ_y = 0 (spec section 3; Denker et al. 2024, eq. 12).
 * By the convention "pinv" A†(y − A x̂0) in place of Aᵀ(y − A x̂0): the direction of Song et al. 2023 (ΠGDM, eq. 7), which a blur
 * does not smooth.
 */
export function guidance(
  operator: Operator,
  y: Tensor,
  x0Hat: Tensor,
  sigmaY: number,
  convention: GuidanceConvention,
): Tensor {
  const g =
    convention === "pinv"
      ? operator.pinv(lincomb(1, y, -1, operator.apply(x0Hat)))
      : operator.residualGradient(y, x0Hat, convention);
  return sigmaY > 0 ? affine(g, 1 / sigmaY ** 2, 0) : g;
}
