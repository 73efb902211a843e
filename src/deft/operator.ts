import type { Shape, Tensor } from "../tensor/index.ts";

export type Convention = "exact" | "deft";

/**
 * A degradation y = A x of a batch of images x [N, C, H, W] in [-1, 1]. Noise is separate. An instance belongs to one
 * batch: whatever differs from image to image (masks) is held inside, N first.
 */
export interface Operator {
  readonly name: string;
  /** [C, H, W] of an image and the shape of its measurement. */
  readonly inShape: Shape;
  readonly outShape: Shape;
  /** Tensors that the instance holds (masks): who keeps the operator past a scope keeps and disposes of them. */
  readonly held: readonly Tensor[];
  /** A x. */
  apply(x: Tensor): Tensor;
  /** Aᵀ y, the exact adjoint. */
  adjoint(y: Tensor): Tensor;
  /** A† y, a pseudo-inverse: A A† A = A. */
  pinv(y: Tensor): Tensor;
  /** Further conditioning channels for the h-transform, after x̂0 and before the guidance. */
  conditioning(y: Tensor): Tensor[];
  /**
   * The gradient of −½‖y − A x‖² by x, by convention: "exact" is Aᵀ(y − A x); "deft" the original code's own
   * (golden/REFERENCE.md in the notes on conventions: in-painting has the opposite sign there).
   */
  residualGradient(y: Tensor, x: Tensor, convention: Convention): Tensor;
}
