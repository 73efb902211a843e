import { describe, expect, it } from "vitest";
import type { ImageSize } from "../../../src/deft/operator.ts";
import { ct, type CtOptions } from "../../../src/deft/operators/ct.ts";
import { relativeError } from "../../helpers/check-op.ts";
import { checkOperator } from "../../helpers/check-operator.ts";
import { testEngine } from "../../helpers/engine.ts";

describe("ct", () => {
  it.each<[ImageSize, Partial<CtOptions>]>([
    [[1, 9, 13], { numAngles: 7 }],
    [[3, 16, 16], { numAngles: 5, angleRange: 90 }],
    [[1, 11, 11], { numAngles: 12, circle: true }],
    [[1, 8, 12], { numAngles: 12, circle: true }],
  ])("exact adjoint: %j, %j", (shape, options) =>
    checkOperator({ make: (engine) => ct(engine, shape, options), isLinear: true }),
  );

  it("limited angles are spread over their range, the values as the definition has them at 0 degrees", async () => {
    const engine = await testEngine();
    const y = engine.scope(() =>
      ct(engine, [1, 4, 4], { numAngles: 2, angleRange: 90 }).apply(
        engine.tensor([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16], [1, 1, 4, 4]),
      ),
    );
    // L = 6: the picture is one row and column in; at 0 degrees rays are sums of columns.
    const rays = await y.read();
    expect(y.shape).toEqual([1, 1, 6, 2]);
    expect([0, 1, 2, 3, 4, 5].map((d) => rays[2 * d])).toEqual([0, 28, 32, 36, 40, 0]);
    y.dispose();
  });

  it("filtered back-projection restores a phantom, the better the more angles", async () => {
    const engine = await testEngine();
    const side = 65;
    const phantom = new Float32Array(side * side).map((_, i) => {
      const [x, y] = [((i % side) - 32) / 32, (Math.floor(i / side) - 32) / 32];
      const inside = (cx: number, cy: number, a: number, b: number) =>
        1 / (1 + Math.exp(20 * (((x - cx) / a) ** 2 + ((y - cy) / b) ** 2 - 1)));
      return (
        inside(0, 0, 0.7, 0.85) - 0.6 * inside(0.2, 0.1, 0.3, 0.4) + 0.3 * inside(-0.3, -0.3, 0.15, 0.15)
      );
    });
    const errors: number[] = [];
    for (const numAngles of [10, 30, 120]) {
      const back = engine.scope(() => {
        const operator = ct(engine, [1, side, side], { numAngles });
        return operator.pinv(operator.apply(engine.tensor(Float32Array.from(phantom), [1, 1, side, side])));
      });
      errors.push(relativeError(await back.read(), phantom));
      back.dispose();
    }
    console.log(
      `ct: relative error of filtered back-projection at 10, 30, 120 angles: ${errors.map((e) => e.toFixed(3)).join(", ")}`,
    );
    expect(errors[1]!).toBeLessThan(errors[0]! / 1.5);
    expect(errors[2]!).toBeLessThan(errors[1]!);
    expect(errors[2]!).toBeLessThan(0.1);
  });

  it("the deft convention: unfiltered back-projection for the adjoint, filtered for the gradient", async () => {
    const engine = await testEngine();
    const shape = [1, 10, 10] as const;
    const [adjoint, exact, gradient, pinv] = engine.scope(() => {
      const operator = ct(engine, shape, { numAngles: 6 });
      const y = operator.apply(
        engine.tensor(
          new Float32Array(100).map((_, i) => Math.cos(i)),
          [1, ...shape],
        ),
      );
      const zero = engine.tensor(new Float32Array(100), [1, ...shape]);
      return [
        ...[operator.adjoint(y, "deft"), operator.adjoint(y)],
        ...[operator.residualGradient(y, zero, "deft"), operator.pinv(y)],
      ];
    });
    expect(relativeError(await gradient!.read(), await pinv!.read())).toBe(0);
    expect(relativeError(await adjoint!.read(), await exact!.read())).toBeGreaterThan(0.1);
    for (const t of [adjoint, exact, gradient, pinv]) t?.dispose();
  });

  it("refuses no angles and a range past 180 degrees", async () => {
    const engine = await testEngine();
    const make = (o: Partial<CtOptions>) => () => engine.scope(() => ct(engine, [1, 8, 8], o));
    expect(make({ numAngles: 0 })).toThrow("ct: 0 angles; expected a whole number from 1 on");
    expect(make({ angleRange: 200 })).toThrow("ct: angles over 200 degrees; expected above 0 and up to 180");
  });
});
