/** Shapes that do not fit; the message names the op and both shapes. */
export class ShapeError extends Error {
  override name = "ShapeError";
}

export class DtypeError extends Error {
  override name = "DtypeError";
}

/** A tensor used after its scope closed or after dispose(). */
export class DisposedError extends Error {
  override name = "DisposedError";
}

/** A gradient that cannot be had: asked for where an op has none, or of a tensor without a tape. */
export class GradientError extends Error {
  override name = "GradientError";
}
