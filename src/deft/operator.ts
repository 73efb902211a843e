import { GradientError, lincomb, type Shape, type Tensor } from "../tensor/index.ts";

/** Gradients as in the maths, or as in the original code. */
export type Convention = "exact" | "deft";

/** [C, H, W] of an image. */
export type ImageSize = readonly [channels: number, height: number, width: number];

/**
 * A = U Σ Vᵀ of a linear operator, for spectral methods (Kawar et al. 2022). D = C·H·W coefficients of an image, M ≤ D of a
 * measurement: coefficient k < M of a measurement is that of the image times singular value k, Uᵀ A x = S · (Vᵀ x)[0 … M−1].
 */
export interface Spectral {
  /** S >= 0: M values, or N·M where the images of the batch differ (image by image). */
  readonly singularValues: Float32Array;
  /** Where S is 0 nothing was measured, as behind a mask. Else y counts there as a measurement of weight 0, as in the published code. */
  readonly isUnseenAtZero?: boolean;
  /** V c: [N, D] → [N, C, H, W]. */
  v(coefficients: Tensor): Tensor;
  /** Vᵀ x: [N, C, H, W] → [N, D]. */
  vt(x: Tensor): Tensor;
  /** U c: [N, M] → [N, ...outShape]. */
  u(coefficients: Tensor): Tensor;
  /** Uᵀ y: [N, ...outShape] → [N, M]. */
  ut(y: Tensor): Tensor;
}

/**
 * A degradation y = A x of a batch of images x [N, C, H, W] in [-1, 1]. Noise is separate. An instance belongs to one
 * batch: whatever differs from image to image (masks) is held inside, N first.
 */
export interface Operator {
  readonly name: string;
  /** [C, H, W] of an image and the shape of its measurement. */
  readonly inShape: ImageSize;
  readonly outShape: Shape;
  readonly isLinear: boolean;
  /** A A† = 1: every measurement can come about. */
  readonly isOnto: boolean;
  /** The measurement is a picture in [-1, 1]; others are stretched to be shown. */
  readonly isPicture: boolean;
  /** Tensors that the instance holds (masks, matrices): who keeps the operator past a scope keeps and disposes of them. */
  readonly held: readonly Tensor[];
  /** A x. */
  apply(x: Tensor): Tensor;
  /**
   * Aᵀ y, the exact adjoint of a linear operator, A† y of another. "deft" gives what the original code takes for it where that
   * differs (ct).
   */
  adjoint(y: Tensor, convention?: Convention): Tensor;
  /** A† y, a pseudo-inverse: A A† A = A where A is linear (ct: filtered back-projection). */
  pinv(y: Tensor): Tensor;
  /** Jᵀ v, J the Jacobian of A at x: [N, ...outShape] → [N, C, H, W]. */
  vjp(x: Tensor, v: Tensor): Tensor;
  /** x moved onto the measurement: x + A†(y − A x), or what an operator has in its place. */
  project(x: Tensor, y: Tensor): Tensor;
  /** The singular value decomposition, where there is one in closed form. */
  readonly svd?: Spectral;
  /** Further conditioning channels for the h-transform, after x̂0 and before the guidance. */
  conditioning(y: Tensor, x0Hat: Tensor): Tensor[];
  /** Where the guidance is evaluated: at x̂0, or at x_t (phase retrieval, spec section 3). */
  readonly guidanceAt: "x0Hat" | "xt";
  /**
   * The gradient of −½‖y − A x‖² by x, by convention: "exact" is Jᵀ(y − A x), or the surrogate A†(y − A x) of an operator that
   * has no useful gradient; "deft" the original code's own (golden/REFERENCE.md in the notes on conventions: in-painting has the
   * opposite sign there).
   */
  residualGradient(y: Tensor, x: Tensor, convention: Convention): Tensor;
}

type Optional =
  | "isLinear"
  | "isOnto"
  | "isPicture"
  | "held"
  | "project"
  | "conditioning"
  | "guidanceAt"
  | "residualGradient";

/** What an operator has to say of itself; the rest has a usual form. */
export type OperatorParts = Omit<Operator, Optional> & Partial<Pick<Operator, Optional>>;

/** An operator with its own parts, else: not linear, not onto, measurements that are pictures, nothing held, no further channels, guidance Jᵀ(y − A x) at x̂0. */
export function defineOperator(parts: OperatorParts): Operator {
  const misfit = (y: Tensor, x: Tensor) => lincomb(1, y, -1, parts.apply(x));
  const usual = {
    ...{ isLinear: false, isOnto: false, isPicture: true, held: [], conditioning: () => [] },
    guidanceAt: "x0Hat" as const,
    residualGradient: (y: Tensor, x: Tensor) => parts.vjp(x, misfit(y, x)),
    project: (x: Tensor, y: Tensor) => lincomb(1, x, 1, parts.pinv(misfit(y, x))),
  };
  return withParts(usual, parts);
}

/** The same for a linear operator: the Jacobian is A. */
export function linearOperator(parts: Omit<OperatorParts, "vjp" | "isLinear">): Operator {
  const vjp = (_x: Tensor, v: Tensor) => parts.adjoint(v);
  return defineOperator(withParts({ vjp, isLinear: true }, parts));
}

/** Both objects in one; getters stay getters. */
function withParts<A extends object, B extends object>(usual: A, parts: B): A & B {
  return Object.defineProperties(usual, Object.getOwnPropertyDescriptors(parts)) as A & B;
}

/** Jᵀ v of any differentiable function of x, through a tape of its own; throws GradientError where its own gradient is wanted. */
export function vjpByTape(f: (x: Tensor) => Tensor, x: Tensor, v: Tensor): Tensor {
  const { engine } = x;
  if (engine.recording && (x.requiresGrad || v.requiresGrad))
    throw new GradientError(
      "vjp: the operator's gradient has no gradient itself; take algo.soc.objective=vargrad",
    );
  return engine.scope(() =>
    engine.withTape(() => {
      const leaf = x.alias();
      leaf.requiresGrad = true;
      return engine.gradients(f(leaf), [leaf], v)[0] as Tensor;
    }),
  );
}
