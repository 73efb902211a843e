// hdr, quant, jpeg, phase retrieval, compositions of them.
import { describe, expect, it } from "vitest";
import type { ImageSize } from "../../../src/deft/operator.ts";
import { compose } from "../../../src/deft/operators/compose.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { jpeg } from "../../../src/deft/operators/jpeg.ts";
import { phaseRetrieval } from "../../../src/deft/operators/phase-retrieval.ts";
import { quantisation } from "../../../src/deft/operators/quantisation.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import { randomArray, relativeError, type F64 } from "../../helpers/check-op.ts";
import { checkOperator } from "../../helpers/check-operator.ts";
import { testEngine } from "../../helpers/engine.ts";

const at = (x: ArrayLike<number>, i: number): number => x[i] as number;

describe("hdr", () => {
  it("on 3x5x7", () =>
    checkOperator({
      make: () => hdr([3, 5, 7]),
      reference: (x) => x.map((v) => Math.min(1, Math.max(-1, 2 * v))),
      isLinear: false,
    }));
});

describe("quant", () => {
  it.each([1, 3, 8])("%i bits", (bits) => {
    const levels = 2 ** bits - 1;
    return checkOperator({
      make: () => quantisation(bits, [3, 5, 7]),
      reference: (x) => x.map((v) => (Math.floor(((v + 1) / 2) * levels + 0.5) / levels) * 2 - 1),
      smooth: (x) => x,
      isLinear: false,
    });
  });
  it("refuses 9 bits", () =>
    expect(() => quantisation(9, [1, 4, 4])).toThrow("quant9: got 9 bits; expected 1 to 8"));
});

const LUMA = [
  [16, 11, 10, 16, 24, 40, 51, 61],
  [12, 12, 14, 19, 26, 58, 60, 55],
  [14, 13, 16, 24, 40, 57, 69, 56],
  [14, 17, 22, 29, 51, 87, 80, 62],
  [18, 22, 37, 56, 68, 109, 103, 77],
  [24, 35, 55, 64, 81, 104, 113, 92],
  [49, 64, 78, 87, 103, 121, 120, 101],
  [72, 92, 95, 98, 112, 100, 103, 99],
];
const CHROMA = LUMA.map((_, i) =>
  LUMA.map((__, j) =>
    i < 4 && j < 4 ? [17, 18, 24, 47, 18, 21, 26, 66, 24, 26, 56, 99, 47, 66, 99, 99][4 * i + j]! : 99,
  ),
);

/** A plane through 8×8 blocks: DCT by its double sum, division, rounding or none, and back. */
function coded(
  plane: number[][],
  table: number[][],
  quality: number,
  round: (v: number) => number,
): number[][] {
  const scale = quality < 50 ? Math.floor(5000 / quality) : 200 - 2 * quality;
  const q = table.map((row) =>
    row.map((t) => Math.min(255, Math.max(1, Math.floor((t * scale + 50) / 100)))),
  );
  const c = (k: number, n: number) =>
    Math.sqrt((k === 0 ? 1 : 2) / 8) * Math.cos(((2 * n + 1) * k * Math.PI) / 16);
  const out = plane.map((row) => [...row]);
  for (let top = 0; top < plane.length; top += 8)
    for (let left = 0; left < plane[0]!.length; left += 8) {
      const each = (f: (i: number, j: number) => number) => LUMA.map((_, i) => LUMA.map((__, j) => f(i, j)));
      const sum = (f: (i: number, j: number) => number) =>
        each(f)
          .flat()
          .reduce((a, b) => a + b);
      const k = each((u, v) =>
        round(sum((i, j) => c(u, i) * c(v, j) * (plane[top + i]![left + j]! - 128)) / q[u]![v]!),
      );
      each(
        (i, j) => (out[top + i]![left + j] = 128 + sum((u, v) => c(u, i) * c(v, j) * q[u]![v]! * k[u]![v]!)),
      );
    }
  return out;
}

function inverse(m: number[][]): number[][] {
  const a = m.map((row, i) => [...row, ...m.map((_, j) => Number(i === j))]);
  a.forEach((row, i) => {
    const pivot = row[i]!;
    row.forEach((v, j) => (row[j] = v / pivot));
    a.forEach((other, k) => {
      if (k === i) return;
      const f = other[i]!;
      other.forEach((v, j) => (other[j] = v - f * row[j]!));
    });
  });
  return a.map((row) => row.slice(3));
}

function jpegReference(x: F64, [c, h, w]: ImageSize, quality: number, round: (v: number) => number): F64 {
  const [bigH, bigW] = [16 * Math.ceil(h / 16), 16 * Math.ceil(w / 16)];
  const planes = Array.from({ length: c }, (_, k) =>
    Array.from({ length: bigH }, (__, i) =>
      Array.from(
        { length: bigW },
        (___, j) => 127.5 * (1 + at(x, (k * h + Math.min(i, h - 1)) * w + Math.min(j, w - 1))),
      ),
    ),
  );
  const m = [
    [0.299, 0.587, 0.114],
    [-0.1687, -0.3313, 0.5],
    [0.5, -0.4187, -0.0813],
  ];
  const mix = (matrix: number[][], p: number[][][], offset: number) =>
    matrix.map((row) =>
      p[0]!.map((line, i) =>
        line.map((_, j) => row.reduce((s, v, k) => s + v * (p[k]![i]![j]! + offset * Number(k > 0)), 0)),
      ),
    );
  let out: number[][][];
  if (c === 1) out = [coded(planes[0]!, LUMA, quality, round)];
  else {
    const [luma, ...chroma] = mix(m, planes, 0) as [number[][], number[][], number[][]];
    const small = chroma.map((p) =>
      coded(
        p.filter((_, i) => i % 2 === 0).map((row) => row.filter((_, j) => j % 2 === 0).map((v) => v + 128)),
        CHROMA,
        quality,
        round,
      ),
    );
    const wide = small.map((p) => luma.map((row, i) => row.map((_, j) => p[i >> 1]![j >> 1]!)));
    out = mix(inverse(m), [coded(luma, LUMA, quality, round), ...wide], -128);
  }
  return Float64Array.from(
    out.flatMap((p) => p.slice(0, h).flatMap((row) => row.slice(0, w).map((v) => v / 127.5 - 1))),
  );
}

describe("jpeg", () => {
  it.each<[number, ImageSize]>([
    [20, [3, 16, 32]],
    [75, [3, 17, 9]],
    [50, [1, 9, 24]],
  ])("jpeg%i on %j", (quality, shape) =>
    checkOperator({
      make: () => jpeg(quality, shape),
      n: 1,
      reference: (x) => jpegReference(x, shape, quality, Math.round),
      smooth: (x) => jpegReference(x, shape, quality, (v) => v),
      isLinear: false,
    }),
  );
  it("refuses qualities out of range and images of two channels", () => {
    expect(() => jpeg(0, [3, 16, 16])).toThrow("jpeg0: the quality is 0; expected 1 to 100");
    expect(() => jpeg(50, [2, 16, 16])).toThrow("jpeg50: images of 2 channels; expected 1 or 3");
  });
});

/** |centred orthonormal DFT| of the padded image in [0, 1], by the double sum. */
function magnitudes(x: F64, [c, h, w]: ImageSize, oversample: number): F64 {
  const [top, left] = [Math.floor((oversample * h) / 8), Math.floor((oversample * w) / 8)];
  const [bh, bw] = [h + 2 * top, w + 2 * left];
  const out = new Float64Array(c * bh * bw);
  for (let k = 0; k < c; k++)
    for (let u = 0; u < bh; u++)
      for (let v = 0; v < bw; v++) {
        let [re, im] = [0, 0];
        for (let i = 0; i < h; i++)
          for (let j = 0; j < w; j++) {
            const value = (at(x, (k * h + i) * w + j) + 1) / 2;
            const angle =
              -2 *
              Math.PI *
              (((i + top - (bh >> 1)) * (u - (bh >> 1))) / bh +
                ((j + left - (bw >> 1)) * (v - (bw >> 1))) / bw);
            re += value * Math.cos(angle);
            im += value * Math.sin(angle);
          }
        out[(k * bh + u) * bw + v] = Math.hypot(re, im) / Math.sqrt(bh * bw);
      }
  return out;
}

describe("phase_retrieval", () => {
  it.each<[number, ImageSize]>([
    [2, [1, 8, 8]],
    [2, [3, 7, 5]],
    [4, [1, 5, 6]],
  ])("oversample %i on %j", (oversample, shape) =>
    checkOperator({
      make: () => phaseRetrieval(shape, { oversample }),
      reference: (x) => magnitudes(x, shape, oversample),
      isLinear: false,
      tolerance: 3e-6,
      vjpTolerance: 1e-5,
    }),
  );

  it("the gradient of the deft convention is twice the exact one; conditioning of the right image is the image", async () => {
    const engine = await testEngine();
    const shape = [2, 9, 12] as const;
    const values = randomArray(2 * 216, 5, -0.9, 0.9);
    const [exact, deft, projected, estimate] = engine.scope(() => {
      const operator = phaseRetrieval(shape);
      const x = engine.tensor(values, [2, ...shape]);
      const other = engine.tensor(randomArray(2 * 216, 6), [2, ...shape]);
      const y = operator.apply(x);
      return [
        operator.residualGradient(y, other, "exact"),
        operator.residualGradient(y, other, "deft"),
        ...operator.conditioning(y, x),
      ];
    });
    const half = (await deft!.read()).map((v) => v / 2);
    expect(relativeError(await exact!.read(), half)).toBeLessThan(1e-6);
    expect(relativeError(await projected!.read(), values)).toBeLessThan(1e-5);
    expect(relativeError(await estimate!.read(), values)).toBeLessThan(1e-4);
    for (const t of [exact, deft, projected, estimate]) t?.dispose();
  });

  it("hybrid input-output from far away lowers the error of the magnitudes", async () => {
    const engine = await testEngine();
    const shape = [1, 16, 16] as const;
    const errors: number[] = [];
    for (const iterations of [0, 5, 40]) {
      const [reached, y] = engine.scope(() => {
        const operator = phaseRetrieval(shape, { iterations, oversample: 4 });
        const x = engine.tensor(randomArray(256, 5, -0.9, 0.9), [1, ...shape]);
        const y = operator.apply(x);
        const start = engine.tensor(randomArray(256, 6, -0.9, 0.9), [1, ...shape]);
        return [operator.apply(operator.conditioning(y, start)[1]!), y];
      });
      errors.push(relativeError(await reached.read(), await y.read()));
      for (const t of [reached, y]) t.dispose();
    }
    expect(errors[1]!).toBeLessThan(errors[0]!);
    expect(errors[2]!).toBeLessThan(errors[1]!);
  });
});

describe("compositions", () => {
  const shape = [3, 6, 10] as const;
  const halved = (x: F64) =>
    Float64Array.from({ length: 45 }, (_, i) => {
      const [row, column] = [Math.floor(i / 5), i % 5];
      const from = 20 * row + 2 * column;
      return (at(x, from) + at(x, from + 1) + at(x, from + 10) + at(x, from + 11)) / 4;
    });
  it("hdr-sr2: the Jacobian goes through both parts", () =>
    checkOperator({
      make: () => compose("hdr-sr2", [hdr(shape), superResolution(2, shape)]),
      reference: (x) => halved(x.map((v) => Math.min(1, Math.max(-1, 2 * v)))),
      isLinear: false,
    }));
  it("sr2-quant3: guidance is the surrogate of the second part carried back by the first", async () => {
    const engine = await testEngine();
    const values = randomArray(180, 3);
    const [g, y, ax] = engine.scope(() => {
      const operator = compose("sr2-quant3", [superResolution(2, shape), quantisation(3, [3, 3, 5])]);
      const x = engine.tensor(values, [1, ...shape]);
      const y = engine.tensor(randomArray(45, 4), [1, 3, 3, 5]);
      return [operator.residualGradient(y, x, "exact"), y, operator.apply(x)];
    });
    const [have, target, reached] = [await g!.read(), await y!.read(), await ax!.read()];
    const want = have.map((_, i) => {
      const k = Math.floor(i / 20) * 5 + ((i % 10) >> 1);
      return (at(target, k) - at(reached, k)) / 4;
    });
    expect(relativeError(have, want)).toBeLessThan(1e-5);
    for (const t of [g, y, ax]) t?.dispose();
  });
});
