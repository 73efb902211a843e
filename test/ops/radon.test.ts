import { describe, expect, test } from "vitest";
import { backprojection, pixelBackprojection, radon, type RadonPlan } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

const directions = (angles: number): Float32Array<ArrayBuffer> =>
  Float32Array.from({ length: 2 * angles }, (_, i) => {
    const a = (Math.PI * (i >> 1)) / angles + 0.1;
    return i % 2 === 0 ? Math.cos(a) : Math.sin(a);
  });

interface Place {
  readonly ray: number;
  readonly angle: number;
  readonly pixel: number;
  readonly weight: number;
}

/** All weights of the transform, from its definition: lattice points turned about the centre, four neighbours each. */
function* weights({ height, width, length }: RadonPlan, turns: ArrayLike<number>): Generator<Place> {
  const c = (length - 1) / 2;
  const [top, left] = [height, width].map((v) => Math.floor(length / 2) - Math.floor(v / 2)) as [
    number,
    number,
  ];
  for (let angle = 0; angle < turns.length / 2; angle++)
    for (let ray = 0; ray < length; ray++)
      for (let row = 0; row < length; row++) {
        const [cos, sin] = [turns[2 * angle]!, turns[2 * angle + 1]!];
        const [d, e] = [ray - c, row - c];
        const [px, py] = [c + d * cos + e * sin - left, c - d * sin + e * cos - top];
        for (const y of [Math.floor(py), Math.floor(py) + 1])
          for (const x of [Math.floor(px), Math.floor(px) + 1])
            if (x >= 0 && y >= 0 && x < width && y < height) {
              const weight = (1 - Math.abs(px - x)) * (1 - Math.abs(py - y));
              yield { ray, angle, pixel: y * width + x, weight };
            }
      }
}

const plans: [number[], RadonPlan, number][] = [
  [[2, 3], { height: 8, width: 8, length: 12 }, 7],
  [[1, 2], { height: 5, width: 9, length: 13 }, 6],
  [[3, 1], { height: 7, width: 7, length: 7 }, 4],
  [[1, 1], { height: 33, width: 20, length: 47 }, 9],
  [[1, 1], { height: 1, width: 1, length: 2 }, 1],
];

describe("radon", () => {
  for (const [[n = 1, c = 1], plan, angles] of plans)
    test(`${n} x ${c} of ${plan.height} x ${plan.width}, ${plan.length} rays, ${angles} angles`, () => {
      const { height: h, width: w, length: l } = plan;
      return checkOp({
        shapes: [
          [n, c, h, w],
          [angles, 2],
        ],
        data: [new Float32Array(n * c * h * w).map((_, i) => Math.sin(3.7 * i + 1)), directions(angles)],
        wrt: [0],
        out: [n, c, l, angles],
        run: (x, turns) => radon(x, turns, plan),
        reference(x, turns) {
          const out = new Float64Array(n * c * l * angles);
          for (const { ray, angle, pixel, weight } of weights(plan, turns))
            for (let p = 0; p < n * c; p++)
              out[(p * l + ray) * angles + angle]! += weight * x[p * h * w + pixel]!;
          return out;
        },
        // Places on the lattice are rounded to float32.
        tolerance: 5e-6,
        gradTolerance: 2e-5,
      });
    });
  test("refuses a square that is too small, and a sinogram of another size", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const turns = engine.tensor(directions(3), [3, 2]);
      const x = engine.tensor(new Float32Array(30), [1, 1, 5, 6]);
      const run = (length: number) => () => radon(x, turns, { height: 5, width: 6, length });
      expect(run(5)).toThrow("radon: length 5 for 5x6; expected at least the larger side");
      expect(() => backprojection(x, turns, { height: 5, width: 6, length: 9 })).toThrow(
        "expected [1,1,9,3]",
      );
    });
  });
});

describe("backprojection", () => {
  for (const [[n = 1, c = 1], plan, angles] of plans)
    test(`${n} x ${c} to ${plan.height} x ${plan.width}, ${angles} angles`, () => {
      const { height: h, width: w, length: l } = plan;
      return checkOp({
        shapes: [
          [n, c, l, angles],
          [angles, 2],
        ],
        data: [new Float32Array(n * c * l * angles).map((_, i) => Math.sin(3.7 * i + 1)), directions(angles)],
        wrt: [0],
        out: [n, c, h, w],
        run: (y, turns) => backprojection(y, turns, plan),
        reference(y, turns) {
          const out = new Float64Array(n * c * h * w);
          for (const { ray, angle, pixel, weight } of weights(plan, turns))
            for (let p = 0; p < n * c; p++)
              out[p * h * w + pixel]! += weight * y[(p * l + ray) * angles + angle]!;
          return out;
        },
        tolerance: 1e-5,
        gradTolerance: 2e-5,
      });
    });
});

describe("pixelBackprojection", () => {
  for (const [[n = 1, c = 1], plan, angles] of plans)
    test(`${n} x ${c} to ${plan.height} x ${plan.width}, ${angles} angles`, () => {
      const { height: h, width: w, length: l } = plan;
      const middle = (l - 1) / 2;
      const [top, left] = [h, w].map((v) => Math.floor(l / 2) - Math.floor(v / 2)) as [number, number];
      const reference = (y: F64, turns: F64): F64 =>
        Float64Array.from({ length: n * c * h * w }, (_, i) => {
          const [p, row, column] = [Math.floor(i / (h * w)), Math.floor(i / w) % h, i % w];
          let sum = 0;
          for (let a = 0; a < angles; a++) {
            const [dx, dy] = [column + left - middle, row + top - middle];
            const place = middle + dx * turns[2 * a]! - dy * turns[2 * a + 1]!;
            for (const ray of [Math.floor(place), Math.floor(place) + 1])
              if (ray >= 0 && ray < l) sum += (1 - Math.abs(place - ray)) * y[(p * l + ray) * angles + a]!;
          }
          return sum;
        });
      return checkOp({
        shapes: [
          [n, c, l, angles],
          [angles, 2],
        ],
        data: [new Float32Array(n * c * l * angles).map((_, i) => Math.sin(3.7 * i + 1)), directions(angles)],
        wrt: [],
        out: [n, c, h, w],
        run: (y, turns) => pixelBackprojection(y, turns, plan),
        reference,
        tolerance: 1e-5,
      });
    });
});
