// deno, sr, bicubic, color, in-painting, named and general blurs, compositions of them.
import { describe, expect, it } from "vitest";
import type { ImageSize } from "../../../src/deft/operator.ts";
import { bicubic } from "../../../src/deft/operators/bicubic.ts";
import { blur, type BlurKernel, type BlurOptions } from "../../../src/deft/operators/blur.ts";
import { color } from "../../../src/deft/operators/color.ts";
import { compose } from "../../../src/deft/operators/compose.ts";
import { deblur, type NamedBlur } from "../../../src/deft/operators/deblur.ts";
import { denoising } from "../../../src/deft/operators/denoising.ts";
import { inpainting } from "../../../src/deft/operators/inpainting.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import { randomArray, type F64 } from "../../helpers/check-op.ts";
import { checkOperator } from "../../helpers/check-operator.ts";
import type { Engine } from "../../../src/tensor/index.ts";
import { testEngine } from "../../helpers/engine.ts";

const at = (x: ArrayLike<number>, i: number): number => x[i] as number;

/** L X Rᵀ of each channel, matrices row by row. */
function separableReference(x: F64, [c, h, w]: ImageSize, l: number[][], r: number[][]): F64 {
  const out: number[] = [];
  for (let k = 0; k < c; k++)
    for (const row of l)
      for (const column of r) {
        let sum = 0;
        row.forEach((a, i) => column.forEach((b, j) => (sum += a * b * at(x, (k * h + i) * w + j))));
        out.push(sum);
      }
  return Float64Array.from(out);
}

describe("deno", () => {
  it.each<ImageSize>([
    [1, 5, 7],
    [3, 4, 4],
  ])("%i x %i x %i", (...shape) =>
    checkOperator({ make: () => denoising(shape), reference: (x) => x, isLinear: true, pinv: 0 }),
  );
});

describe("sr", () => {
  it.each<[number, ImageSize]>([
    [3, [3, 9, 15]],
    [2, [1, 10, 6]],
    [5, [2, 5, 5]],
  ])("sr%i on %j", (k, [c, h, w]) => {
    const mean = (side: number) =>
      Array.from({ length: side / k }, (_, row) =>
        Array.from({ length: side }, (_, i) => (Math.floor(i / k) === row ? 1 / k : 0)),
      );
    return checkOperator({
      make: () => superResolution(k, [c, h, w]),
      reference: (x) => separableReference(x, [c, h, w], mean(h), mean(w)),
      isLinear: true,
      pinv: 1e-6,
    });
  });
  it("decomposes only where that is asked for", () => {
    const costly = superResolution(4, [3, 8, 8], () => {
      throw new Error("decomposed");
    });
    expect(costly.outShape).toEqual([3, 2, 2]);
    expect(() => costly.svd).toThrow("decomposed");
  });
  it("refuses sides that the factor does not divide", () =>
    expect(() => superResolution(4, [3, 8, 10])).toThrow(
      "sr4 does not divide the image sides 8x10; expected sr2",
    ));
});

/** Row `row` of the reduction by f, from the definition: taps around the centre, folded back at the edges one by one. */
function bicubicRow(f: number, side: number, row: number): number[] {
  const cubic = (t: number) =>
    t < 1 ? 1.5 * t ** 3 - 2.5 * t ** 2 + 1 : t < 2 ? -0.5 * t ** 3 + 2.5 * t ** 2 - 4 * t + 2 : 0;
  const taps = Array.from({ length: 4 * f }, (_, i) => cubic(Math.abs((i - 2 * f + 0.5) / f)));
  const total = taps.reduce((a, b) => a + b);
  const out = new Array<number>(side).fill(0);
  taps.forEach((tap, i) => {
    let place = Math.floor(f / 2) + row * f - 2 * f + i;
    while (place < 0 || place >= side) place = place < 0 ? -place - 1 : 2 * side - 1 - place;
    out[place] = at(out, place) + tap / total;
  });
  return out;
}

describe("bicubic", () => {
  it.each<[number, ImageSize]>([
    [2, [3, 6, 10]],
    [3, [1, 9, 6]],
    [4, [3, 16, 4]],
  ])("bicubic%i on %j", (f, [c, h, w]) => {
    const rows = (side: number) => Array.from({ length: side / f }, (_, row) => bicubicRow(f, side, row));
    return checkOperator({
      make: (engine) => bicubic(engine, f, [c, h, w]),
      reference: (x) => separableReference(x, [c, h, w], rows(h), rows(w)),
      isLinear: true,
      pinv: 3e-6,
    });
  });
});

/** Eigenvectors (columns) and eigenvalues of a symmetric matrix: cyclic two-sided Jacobi. */
function eigen(matrix: number[][]): { vectors: number[][]; values: number[] } {
  const n = matrix.length;
  const a = matrix.map((row) => [...row]);
  const v = a.map((_, i) => a.map((_, j) => Number(i === j)));
  for (let sweep = 0; sweep < 30; sweep++)
    for (let p = 0; p < n; p++)
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(a[p]![q]!) < 1e-18) continue;
        const angle = 0.5 * Math.atan2(2 * a[p]![q]!, a[q]![q]! - a[p]![p]!);
        const [c, s] = [Math.cos(angle), Math.sin(angle)];
        for (const m of [a, v])
          for (const row of m) [row[p], row[q]] = [c * row[p]! - s * row[q]!, s * row[p]! + c * row[q]!];
        for (let k = 0; k < n; k++)
          [a[p]![k], a[q]![k]] = [c * a[p]![k]! - s * a[q]![k]!, s * a[p]![k]! + c * a[q]![k]!];
      }
  return { vectors: v, values: a.map((row, i) => row[i]!) };
}

/** The blur of one axis without its singular values below 0.03, as H times the projection on the others. */
function cutBlur(taps: number[], side: number): number[][] {
  const half = Math.floor(taps.length / 2);
  const total = taps.reduce((a, b) => a + b);
  const h = Array.from({ length: side }, (_, i) =>
    Array.from({ length: side }, (_, j) =>
      j - i >= -half && j - i < half ? at(taps, j - i + half) / total : 0,
    ),
  );
  const gram = h.map((_, i) => h.map((_, j) => h.reduce((sum, row) => sum + row[i]! * row[j]!, 0)));
  const { vectors, values } = eigen(gram);
  const kept = values.map((v) => Number(Math.sqrt(Math.max(0, v)) >= 0.03));
  const projection = h.map((_, i) =>
    h.map((_, j) => kept.reduce((sum, k, e) => sum + k * vectors[i]![e]! * vectors[j]![e]!, 0)),
  );
  return h.map((row) => h.map((_, j) => row.reduce((sum, v, k) => sum + v * projection[k]![j]!, 0)));
}

describe("deblur_uni, deblur_gauss", () => {
  const taps: Record<NamedBlur, number[]> = {
    deblur_uni: new Array<number>(9).fill(1),
    deblur_gauss: [-2, -1, 0, 1, 2].map((x) => Math.exp(-(x * x) / 1250)),
  };
  it.each<[NamedBlur, ImageSize]>([
    ["deblur_uni", [3, 13, 7]],
    ["deblur_uni", [1, 16, 16]],
    ["deblur_gauss", [1, 7, 11]],
    ["deblur_gauss", [3, 12, 12]],
  ])("%s on %j", (name, [c, h, w]) => {
    const [l, r] = [cutBlur(taps[name], h), cutBlur(taps[name], w)];
    return checkOperator({
      make: (engine) => deblur(engine, name, [c, h, w]),
      reference: (x) => separableReference(x, [c, h, w], l, r),
      isLinear: true,
      pinv: 3e-5,
    });
  });
});

describe("color", () => {
  it("on 3x5x7", () =>
    checkOperator({
      make: () => color([3, 5, 7]),
      reference: (x) =>
        Float64Array.from(
          { length: 35 },
          (_, i) => 0.3333 * at(x, i) + 0.3334 * at(x, 35 + i) + 0.3333 * at(x, 70 + i),
        ),
      isLinear: true,
      pinv: 1e-6,
    }));
  it("refuses grey images", () => expect(() => color([1, 4, 4])).toThrow("images of 1 channels; expected 3"));
});

describe("inp, in2", () => {
  it.each([1, 3])("masks of %i channels, one an image", (channels) => {
    const [n, c, size] = [2, 3, 35];
    const values = randomArray(n * channels * size, 3).map((v) => Number(v > -0.3));
    return checkOperator({
      make: (engine) => inpainting(engine, { values, shape: [n, channels, 5, 7] }, [c, 5, 7]),
      n,
      reference: (x, image) =>
        x.map((v, i) => {
          const plane = channels === 1 ? 0 : Math.floor(i / size);
          return v * at(values, (image * channels + plane) * size + (i % size));
        }),
      isLinear: true,
      pinv: 0,
    });
  });
  it("refuses a mask of another size", async () => {
    const engine = await testEngine();
    const make = () => inpainting(engine, { values: new Float32Array(16), shape: [1, 1, 4, 4] }, [3, 5, 7]);
    expect(() => engine.scope(make)).toThrow("inp: mask of 1x4x4; expected the image's 5x7");
  });
});

describe("blur", () => {
  const fold: Record<BlurOptions["padding"], (i: number, n: number) => number> = {
    circular: (i, n) => (i + 10 * n) % n,
    reflect: (i, n) => {
      let k = i;
      while (k < 0 || k >= n) k = k < 0 ? -k : 2 * (n - 1) - k;
      return k;
    },
    replicate: (i, n) => Math.min(n - 1, Math.max(0, i)),
    valid: (i) => i,
  };
  const kernelOf = (height: number, width: number): BlurKernel => {
    const values = randomArray(height * width, 8, 0.1, 1);
    const sum = values.reduce((a, b) => a + b, 0);
    return { values: values.map((v) => v / sum), height, width };
  };
  /** True convolution by its definition. */
  function reference(x: F64, [c, h, w]: ImageSize, k: BlurKernel, padding: BlurOptions["padding"]): F64 {
    const [top, left] = padding === "valid" ? [0, 0] : [k.height >> 1, k.width >> 1];
    const [oh, ow] = [h + 2 * top - k.height + 1, w + 2 * left - k.width + 1];
    return Float64Array.from({ length: c * oh * ow }, (_, i) => {
      const [plane, row, column] = [Math.floor(i / (oh * ow)), Math.floor(i / ow) % oh, i % ow];
      let sum = 0;
      for (let a = 0; a < k.height; a++)
        for (let b = 0; b < k.width; b++) {
          const y = fold[padding](row - top + k.height - 1 - a, h);
          const z = fold[padding](column - left + k.width - 1 - b, w);
          sum += at(k.values, a * k.width + b) * at(x, (plane * h + y) * w + z);
        }
      return sum;
    });
  }
  const paddings = ["circular", "reflect", "replicate", "valid"] as const;
  for (const padding of paddings)
    it.each<[number, number, ImageSize]>([
      [3, 5, [2, 7, 9]],
      [4, 2, [1, 6, 11]],
    ])(`%i x %i, ${padding}, on %j`, (kh, kw, shape) => {
      const kernel = kernelOf(kh, kw);
      return checkOperator({
        make: (engine) => blur(engine, kernel, shape, { padding }),
        reference: (x) => reference(x, shape, kernel, padding),
        isLinear: true,
        // Conjugate gradients: what the kernel shrinks a hundredfold is reached to a few digits only.
        pinv: 2e-4,
      });
    });
  it("refuses a kernel that does not sum to one, and one that is larger than the image", async () => {
    const engine = await testEngine();
    const shape = [1, 4, 4] as const;
    const make = (values: number[], height: number, padding: "valid" | "reflect") => () =>
      engine.scope(() => blur(engine, { values, height, width: 1 }, shape, { padding }));
    expect(make([0.5, 0.6, 0.5], 3, "reflect")).toThrow(
      "blur: the kernel's values sum to 1.6; expected 1, divide the kernel by its sum",
    );
    expect(make([0.5, 0.5], 3, "reflect")).toThrow("a kernel of 2 values; expected 3x1");
    expect(make([0.2, 0.2, 0.2, 0.2, 0.2], 5, "valid")).toThrow("expected at most 4x4");
    const eighth = new Array<number>(8).fill(0.125);
    expect(make(eighth, 8, "reflect")).toThrow(
      "blur: kernel 8x1 for images 4x4; expected at most 7x7, make the kernel smaller",
    );
  });
});

describe("compositions", () => {
  const shape = [3, 8, 12] as const;
  it("sr2-color: values, adjoint, pseudo-inverse", () =>
    checkOperator({
      make: () => compose("sr2-color", [superResolution(2, shape), color([3, 4, 6])]),
      reference: (x) => {
        const mean = (side: number) =>
          Array.from({ length: side / 2 }, (_, row) =>
            Array.from({ length: side }, (_, i) => (i >> 1 === row ? 0.5 : 0)),
          );
        const small = separableReference(x, shape, mean(8), mean(12));
        return Float64Array.from(
          { length: 24 },
          (_, i) => 0.3333 * at(small, i) + 0.3334 * at(small, 24 + i) + 0.3333 * at(small, 48 + i),
        );
      },
      isLinear: true,
      pinv: 2e-6,
    }));
  it("inp-sr4, whose first part is not onto: least squares", () => {
    const values = randomArray(2 * 96, 4).map((v) => Number(v > -0.2));
    return checkOperator({
      make: (engine) =>
        compose("inp-sr4", [
          inpainting(engine, { values, shape: [2, 1, 8, 12] }, shape),
          superResolution(4, shape),
        ]),
      isLinear: true,
      pinv: 1e-5,
    });
  });
  it("inp-deblur_uni-inp: what the middle shrinks is found by more steps", () => {
    const masks = (seed: number) => randomArray(2 * 96, seed).map((v) => Number(v > -0.2));
    const part = (engine: Engine, seed: number) =>
      inpainting(engine, { values: masks(seed), shape: [2, 1, 8, 12] }, shape);
    return checkOperator({
      make: (engine) =>
        compose("three", [part(engine, 4), deblur(engine, "deblur_uni", shape), part(engine, 5)]),
      isLinear: true,
      pinv: 1e-4,
    });
  });
  it("parts that do not fit are named", () =>
    expect(() => compose("sr2-color", [superResolution(2, shape), color(shape)])).toThrow(
      "sr2-color: sr2 gives 3x4x6, color takes 3x8x12",
    ));
});
