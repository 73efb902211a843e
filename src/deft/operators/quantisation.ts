import { affine, floor, lincomb, reshape, type Tensor } from "../../tensor/index.ts";
import type { DegradationKind } from "../degradation.ts";
import { UserError } from "../errors.ts";
import { pixelwise } from "../footprint.ts";
import { defineOperator, type ImageSize, type Operator } from "../operator.ts";

/**
 * quant{n}: 2ⁿ levels, y = 2⌊(x+1)/2·(2ⁿ−1) + ½⌋/(2ⁿ−1) − 1, of the image's shape. A† = 1. A step has no useful Jacobian:
 * vjp and guidance take rounding for the identity.
 */
export function quantisation(bits: number, inShape: ImageSize): Operator {
  if (!Number.isInteger(bits) || bits < 1 || bits > 8)
    throw new UserError(`quant${bits}: got ${bits} bits; expected 1 to 8`);
  const levels = 2 ** bits - 1;
  const apply = (x: Tensor) => affine(floor(affine(x, levels / 2, levels / 2 + 0.5)), 2 / levels, -1);
  const same = (y: Tensor) => reshape(y, y.shape);
  return defineOperator({
    name: `quant${bits}`,
    inShape,
    outShape: inShape,
    apply,
    adjoint: same,
    pinv: same,
    vjp: (_x, v) => same(v),
    residualGradient: (y, x) => lincomb(1, y, -1, apply(x)),
  });
}

export const quantisationKind: DegradationKind = {
  word: "quant",
  title: "Quantisation to {k} bits",
  effect: "rounded to {k} bits",
  number: { symbol: "n", least: 1, most: 8, meaning: "n from 1 to 8 bits", example: "quant3" },
  footprint: () => pixelwise,
  prepare: (shape, bits) => ({ make: () => quantisation(bits, shape) }),
};
