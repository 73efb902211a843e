import { lincomb, type Tensor } from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import { defineOperator, type Convention, type ImageSize, type Operator } from "../operator.ts";
import { leastSquares } from "./least-squares.ts";

/** Steps of conjugate gradients behind A†: between closed inverses, which leave little to them, and otherwise. */
const STEPS = { closed: 60, open: 200 };

/** A linear map to be inverted by steps, and what is done to y before and to what is found after. */
interface Outer {
  readonly apply: (v: Tensor) => Tensor;
  readonly adjoint: (v: Tensor) => Tensor;
  readonly closed: (v: Tensor) => Tensor;
}
/** Whether its A† is known in closed form. Asked by the name, since the decomposition is made when it is read. */
const isClosed = (part: Operator): boolean => "svd" in part;
/** A part whose A† is known in closed form stands as the projection onto its range or its rows, any other as itself. */
const outer = (part: Operator, projection: (v: Tensor) => Tensor): Outer =>
  isClosed(part)
    ? { apply: projection, adjoint: projection, closed: part.pinv }
    : { apply: part.apply, adjoint: part.adjoint, closed: (v) => v };

/**
 * A generalised inverse of linear parts, A A† A = A: x = A_1† z with z of least ‖A_k† A_k … A_2 A_1 A_1† z − A_k† y‖. What the
 * first and the last part shrink (the named blurs: to 0.0009) conjugate gradients do not see, as far as these have a closed A†.
 */
function inverseByParts(parts: readonly Operator[], y: Tensor): Tensor {
  const [first, last] = [parts[0], parts.at(-1)] as [Operator, Operator];
  const middle = parts.slice(1, -1);
  const right = outer(first, (z) => first.apply(first.pinv(z)));
  const left = outer(last, (v) => last.pinv(last.apply(v)));
  const apply = (z: Tensor) => left.apply(middle.reduce((v, part) => part.apply(v), right.apply(z)));
  const adjoint = (v: Tensor) =>
    right.adjoint(middle.reduceRight((w, part) => part.adjoint(w), left.adjoint(v)));
  const steps = middle.length === 0 && isClosed(first) && isClosed(last) ? STEPS.closed : STEPS.open;
  return y.engine.scope(() => right.closed(leastSquares({ apply, adjoint }, left.closed(y), steps)));
}

/**
 * A = A_k … A_1, the parts in the order in which they are applied (`sr4-quant3`: sr4 first). A† = A_1† … A_k†, which is a
 * pseudo-inverse where all but the last part are onto; of other linear parts it is found by conjugate gradients, between the
 * inverses of the first and the last part where these are closed.
 * Conditioning and the point of the guidance are those of the first part, which sees the image.
 */
export function compose(name: string, parts: readonly Operator[]): Operator {
  const [first, ...later] = parts;
  const last = parts.at(-1);
  if (!first || !last) throw new UserError(`${name}: no degradation; expected one at least`);
  for (const [k, part] of later.entries()) {
    const [from, to] = [parts[k] as Operator, part];
    if (from.outShape.join() !== to.inShape.join())
      throw new UserError(
        `${name}: ${from.name} gives ${from.outShape.join("x")}, ${to.name} takes ${to.inShape.join("x")}`,
      );
  }
  const isLinear = parts.every((part) => part.isLinear);
  const isProduct = !isLinear || parts.slice(0, -1).every((part) => part.isOnto);
  const backwards = [...parts].reverse();
  /** Inputs of the parts: x, A_1 x, … */
  const inputs = (x: Tensor): Tensor[] => {
    const values = [x];
    for (const part of parts.slice(0, -1)) values.push(part.apply(values.at(-1) as Tensor));
    return values;
  };
  const apply = (x: Tensor) => parts.reduce((v, part) => part.apply(v), x);
  const adjoint = (y: Tensor, convention?: Convention) =>
    backwards.reduce((v, part) => part.adjoint(v, convention), y);
  /** v carried back to the image, part by part, each with what it was given. */
  const pull = (x: Tensor, v: Tensor, step: (part: Operator, input: Tensor, v: Tensor) => Tensor) =>
    x.engine.scope(() => {
      const given = inputs(x);
      return parts.reduceRight((sum, part, k) => step(part, given[k] as Tensor, sum), v);
    });
  return defineOperator({
    name,
    inShape: first.inShape,
    outShape: last.outShape,
    isLinear,
    isOnto: parts.every((part) => part.isOnto),
    isPicture: last.isPicture,
    held: parts.flatMap((part) => [...part.held]),
    apply,
    adjoint,
    pinv: (y) => (isProduct ? backwards.reduce((v, part) => part.pinv(v), y) : inverseByParts(parts, y)),
    vjp: (x, v) => pull(x, v, (part, input, sum) => part.vjp(input, sum)),
    conditioning: (y, x0Hat) =>
      first.conditioning(
        backwards.slice(0, -1).reduce((v, part) => part.pinv(v), y),
        x0Hat,
      ),
    guidanceAt: first.guidanceAt,
    // Each part's own gradient, surrogate or true, of the residual that the part after it asks for.
    residualGradient: (y, x, convention) =>
      pull(x, lincomb(1, y, -1, apply(x)), (part, input, sum) =>
        part.residualGradient(lincomb(1, part.apply(input), 1, sum), input, convention),
      ),
  });
}

/** The shape that the next part of a composition takes. */
export const imageSizeOf = (operator: Operator): ImageSize => operator.outShape as unknown as ImageSize;
