import { describe, expect, test } from "vitest";
import { Engine, linear, matmul, openDevice, ShapeError, sizeOf } from "../../src/tensor/index.ts";
import { checkOp, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { testAdapter } from "../helpers/gpu.ts";

interface Case {
  a: number[];
  b: number[];
  ta?: boolean;
  tb?: boolean;
}

/** op(a)·op(b) in float64; a side of rank 2 serves the whole batch. */
function reference({ a, b, ta = false, tb = false }: Case): {
  shape: number[];
  run: (x: F64, y: F64) => F64;
} {
  const [ra, ca] = a.slice(-2) as [number, number];
  const [rb, cb] = b.slice(-2) as [number, number];
  const [m, k, n] = [ta ? ca : ra, ta ? ra : ca, tb ? rb : cb];
  const batch = a.length > 2 ? a.slice(0, -2) : b.slice(0, -2);
  const run = (x: F64, y: F64): F64 => {
    const out = new Float64Array(sizeOf(batch) * m * n);
    for (let z = 0; z < sizeOf(batch); z++) {
      const [ax, bx] = [a.length > 2 ? z * ra * ca : 0, b.length > 2 ? z * rb * cb : 0];
      for (let i = 0; i < m; i++)
        for (let j = 0; j < n; j++) {
          let s = 0;
          for (let q = 0; q < k; q++)
            s +=
              (x[ax + (ta ? q * ca + i : i * ca + q)] as number) *
              (y[bx + (tb ? j * cb + q : q * cb + j)] as number);
          out[(z * m + i) * n + j] = s;
        }
    }
    return out;
  };
  return { shape: [...batch, m, n], run };
}

const name = (c: Case): string =>
  `${JSON.stringify(c.a)}${c.ta ? "ᵀ" : ""} · ${JSON.stringify(c.b)}${c.tb ? "ᵀ" : ""}`;

const flags = [false, true].flatMap((ta) => [false, true].map((tb) => ({ ta, tb })));
const sizes = [
  [1, 1, 1],
  [4, 4, 4],
  [13, 37, 9],
  [16, 32, 32],
  [17, 33, 34],
  [66, 20, 68],
  [64, 18, 64],
] as const;
const cases: Case[] = [
  ...sizes.flatMap(([m, k, n]) =>
    flags.map(({ ta, tb }) => ({ a: ta ? [k, m] : [m, k], b: tb ? [n, k] : [k, n], ta, tb })),
  ),
  ...flags.flatMap(({ ta, tb }) => {
    const [a, b] = [ta ? [12, 8] : [8, 12], tb ? [20, 12] : [12, 20]];
    return [
      { a: [3, ...a], b: [3, ...b], ta, tb },
      { a: [2, 3, ...a], b, ta, tb },
      { a, b: [3, ...b], ta, tb },
    ];
  }),
  { a: [2, 3, 5, 7], b: [7, 6] },
  { a: [2, 7, 5], b: [2, 6, 7], ta: true, tb: true },
];

// Small products have a kernel of their own; the others are asked for by name.
describe.each([undefined, "matmul:subgroup", "matmul:base"])("matmul with kernels %s", (kernels) => {
  for (const c of cases)
    test(name(c), () => {
      const { shape, run } = reference(c);
      return checkOp({
        ...(kernels !== undefined && { kernels }),
        shapes: [c.a, c.b],
        out: shape,
        run: (x, y) => matmul(x, y, { transposeA: c.ta ?? false, transposeB: c.tb ?? false }),
        reference: run,
      });
    });

  test("a long inner axis", () =>
    checkOp({
      shapes: [
        [5, 3000],
        [3000, 8],
      ],
      out: [5, 8],
      run: (x, y) => matmul(x, y),
      reference: reference({ a: [5, 3000], b: [3000, 8] }).run,
    }));

  // More columns than one grid of 65535 tiles holds, whatever the tile, and no multiple of anything.
  for (const kernels of ["", "base"])
    test(`very many columns, kernels "${kernels}"`, async () => {
      const engine = new Engine(await openDevice(await testAdapter(), { kernels }));
      const n = 2 ** 20 + 2 ** 12 + 5;
      const [a, b] = [
        Float32Array.of(0.5, -2),
        Float32Array.from({ length: 2 * n }, (_, i) => (i % 1009) - 500),
      ];
      for (const transposeB of [false, true]) {
        const y = engine.scope(() =>
          matmul(engine.tensor(a, [1, 2]), engine.tensor(b, transposeB ? [n, 2] : [2, n]), { transposeB }),
        );
        const values = await y.read();
        const wrong = values.findIndex((v, i) => {
          const [p, q] = transposeB ? [b[2 * i], b[2 * i + 1]] : [b[i], b[n + i]];
          return v !== 0.5 * (p as number) - 2 * (q as number);
        });
        expect(wrong).toBe(-1);
        y.dispose();
      }
      engine.device.destroy();
    });

  // More rows, or more matrices, than one grid holds.
  for (const kernels of ["", "base"])
    test(`very many rows and very many matrices, kernels "${kernels}"`, async () => {
      const engine = new Engine(await openDevice(await testAdapter(), { kernels }));
      const m = 2 ** 20 + 70;
      const a = Float32Array.from({ length: 2 * m }, (_, i) => (i % 1009) - 500);
      const [b, bias] = [Float32Array.of(0.5, -2, 3, 4), Float32Array.of(1, -1)];
      const tall = engine.scope(() =>
        linear(engine.tensor(a, [m, 2]), engine.tensor(b, [2, 2]), engine.tensor(bias, [2])),
      );
      const wrongRow = (await tall.read()).findIndex((v, i) => {
        const [x, y] = [a[i - (i % 2)] as number, a[i - (i % 2) + 1] as number];
        return v !== (i % 2 === 0 ? 0.5 * x - 2 * y + 1 : 3 * x + 4 * y - 1);
      });
      expect(wrongRow).toBe(-1);
      tall.dispose();
      // A workgroup of the plain kernel for each matrix takes minutes on a CPU; the launches are the same.
      if (kernels === "base") return engine.device.destroy();
      // Each matrix [p q] by [r; s].
      const [count, n] = [65535 + 9, 1];
      const left = Float32Array.from({ length: 2 * count }, (_, i) => (i % 101) - 50);
      const right = Float32Array.from({ length: 2 * count }, (_, i) => (i % 89) - 44);
      const many = engine.scope(() =>
        matmul(engine.tensor(left, [count, 1, 2]), engine.tensor(right, [count, 2, n])),
      );
      const wrong = (await many.read()).findIndex(
        (v, i) =>
          v !==
          (left[2 * i] as number) * (right[2 * i] as number) +
            (left[2 * i + 1] as number) * (right[2 * i + 1] as number),
      );
      expect(wrong).toBe(-1);
      many.dispose();
      engine.device.destroy();
    });

  test("refuses what does not fit, naming both shapes", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const [a, b, c] = [
        [2, 3],
        [4, 5],
        [2, 3, 4],
      ].map((s) => engine.empty(s));
      if (!a || !b || !c) throw new Error("unreachable");
      expect(() => matmul(a, b)).toThrow(ShapeError);
      expect(() => matmul(a, b)).toThrow("a [2,3], b [4,5]");
      expect(() => matmul(engine.empty([3]), b)).toThrow("rank 2 or more");
      expect(() => matmul(c, engine.empty([3, 4, 5]))).toThrow("batch axes differ");
    });
  });
});
