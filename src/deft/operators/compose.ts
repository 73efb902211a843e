import { lincomb, type Tensor } from "../../tensor/index.ts";
import { UserError } from "../errors.ts";
import { defineOperator, type Convention, type ImageSize, type Operator } from "../operator.ts";
import { leastSquares } from "./least-squares.ts";

/** Steps of conjugate gradients behind A†. */
const STEPS = 200;

/**
 * A = A_k … A_1, the parts in the order in which they are applied (`sr4-quant3`: sr4 first). A† = A_1† … A_k†, which is a
 * pseudo-inverse where all but the last part are onto; of other linear parts it is least squares by conjugate gradients, which for
 * a part that shrinks much (the named blurs) stop while A A† A differs from A by up to a hundredth.
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
    pinv: (y) =>
      isProduct ? backwards.reduce((v, part) => part.pinv(v), y) : leastSquares({ apply, adjoint }, y, STEPS),
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
