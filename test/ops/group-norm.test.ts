import { describe, expect, test } from "vitest";
import { ShapeError, groupNorm, type Tensor } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

function reference(
  shape: readonly number[],
  groups: number,
  silu: boolean,
): (x: F64, gamma: F64, beta: F64, scaleShift?: F64) => F64 {
  const [n = 1, c = 1] = shape;
  const size = shape.slice(2).reduce((a, b) => a * b, 1);
  const [per, m] = [c / groups, (c / groups) * size];
  return (x, gamma, beta, scaleShift) => {
    const y = new Float64Array(x.length);
    for (let g = 0; g < n * groups; g++) {
      const part = x.subarray(g * m, (g + 1) * m);
      const mean = part.reduce((a, b) => a + b, 0) / m;
      const variance = part.reduce((a, b) => a + (b - mean) ** 2, 0) / m;
      part.forEach((v, k) => {
        const [b, ch] = [Math.floor(g / groups), (g % groups) * per + Math.floor(k / size)];
        let u = ((v - mean) / Math.sqrt(variance + 1e-5)) * (gamma[ch] as number) + (beta[ch] as number);
        if (scaleShift)
          u = u * (1 + (scaleShift[b * 2 * c + ch] as number)) + (scaleShift[b * 2 * c + c + ch] as number);
        y[g * m + k] = silu ? u / (1 + Math.exp(-u)) : u;
      });
    }
    return y;
  };
}

const size = (shape: readonly number[]): number => shape.reduce((a, b) => a * b, 1);

const shapes: [number[], number][] = [
  [[1, 3, 1], 1],
  [[2, 4, 3], 2],
  [[1, 6, 2, 2], 3],
  [[3, 8, 5, 7], 2],
  [[2, 12, 4, 4], 4],
  [[2, 32, 8, 8], 32],
  [[1, 32, 33, 31], 32],
  [[1, 64, 16, 16], 32],
  [[1, 4, 64, 68], 2],
  [[2, 160, 1, 3], 32],
  [[2, 5], 1],
  // Channels in several parts, where the variant of that name runs.
  [[1, 4, 96, 100], 2],
  [[1, 3, 97, 131], 1],
];

describe.each(["", "base", "group-norm:parts"])("groupNorm with kernels %j", (named) => {
  const kernels = named || process.env["DEFT_KERNEL"] || "";
  for (const [shape, groups] of shapes)
    for (const silu of [false, true])
      for (const scaled of size(shape) < 1000 ? [false, true] : [silu])
        test(`[${shape.join(",")}] groups ${groups}${silu ? " silu" : ""}${scaled ? " scale-shift" : ""}`, () => {
          const [n = 1, c = 1] = shape;
          return checkOp({
            kernels,
            shapes: [shape, [c], [c], scaled ? [n, 2 * c] : null],
            out: shape,
            range: [
              [-2, 3],
              [0.5, 1.5],
              [-1, 1],
              [-0.5, 0.5],
            ],
            run: (x, gamma, beta, scaleShift) =>
              groupNorm(x, gamma, beta, scaled ? (scaleShift as Tensor) : null, { groups, silu }),
            reference: reference(shape, groups, silu),
          });
        });

  test("a large mean does not spoil the variance", () =>
    checkOp({
      kernels,
      shapes: [[2, 8, 16, 16], [8], [8], null],
      out: [2, 8, 16, 16],
      range: [
        [1000, 1001],
        [0.5, 1.5],
        [-1, 1],
      ],
      run: (x, gamma, beta) => groupNorm(x, gamma, beta, null, { groups: 4 }),
      reference: reference([2, 8, 16, 16], 4, false),
      // The mean itself is only known to 2^-24 of 1000.
      tolerance: 2e-4,
      gradTolerance: 1e-3,
    }));

  test("a first row far from the rest does not spoil the variance", () => {
    const x = Float32Array.from({ length: 64 * 64 }, (_, i) => (i < 64 ? 1000 : ((i * 37) % 101) / 101));
    return checkOp({
      kernels,
      shapes: [[1, 1, 64, 64], [1], [1], null],
      data: [x, Float32Array.of(1), Float32Array.of(0), null],
      out: [1, 1, 64, 64],
      run: (t, gamma, beta) => groupNorm(t, gamma, beta, null, { groups: 1 }),
      reference: reference([1, 1, 64, 64], 1, false),
      wrt: [],
    });
  });

  test("channels that the groups do not divide are refused with both numbers", async () => {
    const engine = await testEngine(kernels);
    engine.scope(() => {
      const x = engine.tensor(new Float32Array(6), [1, 6, 1]);
      const g = engine.tensor(new Float32Array(6));
      expect(() => groupNorm(x, g, g, null, { groups: 4 })).toThrow(ShapeError);
      expect(() => groupNorm(x, g, engine.tensor([1]), null, { groups: 3 })).toThrow(/beta has shape \[1\]/);
      const bits = engine.tensor(new Uint32Array(6));
      expect(() => groupNorm(x, g, bits, null, { groups: 3 })).toThrow("beta is u32; expected f32");
    });
  });
});
