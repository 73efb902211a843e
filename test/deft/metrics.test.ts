import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { bicubicUpsample } from "../../src/deft/bicubic.ts";
import { average, consistency, meanOf, meanSquaredError, psnr } from "../../src/deft/metrics.ts";
import type { ImageShape } from "../../src/deft/metrics.ts";
import { ssim, structuralSimilarity } from "../../src/deft/ssim.ts";

/** Repeatable values in [-1, 1]. */
function noise(size: number, seed: number): Float32Array {
  let state = seed;
  return Float32Array.from({ length: size }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 31 - 1;
  });
}

describe("PSNR", () => {
  const shape: ImageShape = [2, 1, 1, 2];

  it("follows 10 log10(1 / (mse + 1e-10)) on [0, 1], each image by itself", () => {
    // Differences of 0.2 and 0 on [-1, 1] are 0.1 and 0 on [0, 1]: mse 0.005.
    const value = psnr(Float32Array.of(0.2, 0, 0.5, 0.5), Float32Array.of(0, 0, 0.5, 0.5), shape);
    expect(value[0]).toBeCloseTo(10 * Math.log10(1 / 0.005), 5);
    expect(value[1]).toBeCloseTo(100, 9);
  });

  it("clamps the sample unless told not to, and always the target", () => {
    const sample = Float32Array.of(3, 1, 0, 0);
    const target = Float32Array.of(1, 5, 0, 0);
    expect(meanSquaredError(sample, target, shape)[0]).toBe(0);
    // Unclamped, 3 is 2 on [0, 1] and the target stays 1: error 1 over two pixels.
    expect(meanSquaredError(sample, target, shape, { clampSample: false })[0]).toBe(0.5);
  });

  it("refuses arrays that do not fill the shape", () => {
    expect(() => psnr(new Float32Array(3), new Float32Array(4), shape)).toThrow(/3 and 4 values; expected 4/);
    expect(() => psnr(new Float32Array(0), new Float32Array(0), [0, 1, 1, 1])).toThrow(/expected 0/);
  });
});

describe("consistency", () => {
  it("is the unclamped PSNR of A x̂ against y on the [0, 1] scale", () => {
    const value = consistency(Float32Array.of(3, 0, 1, 1), Float32Array.of(1, 0, 1, 1), 2);
    expect(value[0]).toBeCloseTo(10 * Math.log10(1 / 0.5), 6);
    expect(value[1]).toBeCloseTo(100, 9);
  });

  it("refuses measurements of two sizes", () => {
    expect(() => consistency(new Float32Array(4), new Float32Array(6), 2)).toThrow(
      /4 and 6 values for n = 2/,
    );
  });
});

describe("means", () => {
  it("averages samples element by element", () => {
    expect([...meanOf([Float32Array.of(1, 2), Float32Array.of(3, -2)])]).toEqual([2, 0]);
    expect(() => meanOf([])).toThrow(/none/);
    expect(() => meanOf([new Float32Array(1), new Float32Array(2)])).toThrow(/one size; got 1, 2/);
  });

  it("averages values", () => {
    expect(average([1, 2, 6])).toBe(3);
    expect(average([])).toBeNaN();
  });
});

describe("SSIM", () => {
  /** The definition as one direct double sum over the window of each pixel, the window gathered by reflection. */
  function direct(
    a: Float32Array,
    b: Float32Array,
    h: number,
    w: number,
    y: number,
    x: number,
    range: number,
  ) {
    const mirror = (i: number, size: number) => {
      const period = 2 * (size - 1);
      const j = ((i % period) + period) % period;
      return j < size ? j : period - j;
    };
    let total = 0;
    const m = { a: 0, b: 0, aa: 0, bb: 0, ab: 0 };
    for (let dy = -5; dy <= 5; dy++) {
      for (let dx = -5; dx <= 5; dx++) {
        const weight = Math.exp(-(dy * dy + dx * dx) / (2 * 1.5 * 1.5));
        const i = mirror(y + dy, h) * w + mirror(x + dx, w);
        total += weight;
        m.a += weight * a[i]!;
        m.b += weight * b[i]!;
        m.aa += weight * a[i]! * a[i]!;
        m.bb += weight * b[i]! * b[i]!;
        m.ab += weight * a[i]! * b[i]!;
      }
    }
    const [ma, mb] = [m.a / total, m.b / total];
    const [va, vb, cov] = [m.aa / total - ma * ma, m.bb / total - mb * mb, m.ab / total - ma * mb];
    const [c1, c2] = [(0.01 * range) ** 2, (0.03 * range) ** 2];
    return ((2 * ma * mb + c1) * (2 * cov + c2)) / ((ma * ma + mb * mb + c1) * (va + vb + c2));
  }

  it("equals the direct sum, whole and without the border, for each image", () => {
    const [n, c, h, w] = [2, 2, 13, 17];
    const a = noise(n * c * h * w, 1);
    const b = a.map((v, i) => 0.7 * v + 0.3 * noise(a.length, 2)[i]!);
    const result = structuralSimilarity(a, b, [n, c, h, w], { dataRange: 2 });
    for (let image = 0; image < n; image++) {
      const [all, inner]: [number[], number[]] = [[], []];
      for (let channel = 0; channel < c; channel++) {
        const from = (image * c + channel) * h * w;
        const [pa, pb] = [a.subarray(from, from + h * w), b.subarray(from, from + h * w)];
        for (let y = 0; y < h; y++) {
          for (let x = 0; x < w; x++) {
            const value = direct(pa, pb, h, w, y, x, 2);
            all.push(value);
            if (y >= 5 && y < h - 5 && x >= 5 && x < w - 5) inner.push(value);
          }
        }
      }
      expect(result.full[image]).toBeCloseTo(average(all), 12);
      expect(result.cropped[image]).toBeCloseTo(average(inner), 12);
    }
  });

  it("takes the larger span of the two batches when no range is given", () => {
    const a = noise(12 * 12, 3);
    const b = a.map((v) => 3 * v);
    const { dataRange } = structuralSimilarity(a, b, [1, 1, 12, 12]);
    expect(dataRange).toBe(Math.max(...b) - Math.min(...b));
  });

  it("is 1 for equal images and works on [0, 1] after clamping", () => {
    const a = noise(3 * 16 * 16, 4);
    expect(ssim(a, a, [1, 3, 16, 16])[0]).toBeCloseTo(1, 12);
    const beyond = a.map((v) => (v > 0.5 ? 4 : v));
    const clamped = a.map((v) => (v > 0.5 ? 1 : v));
    expect(ssim(beyond, a, [1, 3, 16, 16])[0]).toBe(ssim(clamped, a, [1, 3, 16, 16])[0]);
  });

  it("refuses a window that the image cannot mirror", () => {
    expect(() => ssim(new Float32Array(25), new Float32Array(25), [1, 1, 5, 5])).toThrow(/got 11 for 5×5/);
  });
});

describe("bicubic enlargement", () => {
  it("keeps a picture at factor 1 and constants at every factor, up to the edge", () => {
    const picture = noise(2 * 3 * 5, 5);
    expect(bicubicUpsample(picture, [1, 2, 3, 5], 1)).toEqual(picture);
    for (const k of [2, 3, 4]) {
      for (const v of bicubicUpsample(new Float32Array(12).fill(0.3), [1, 1, 3, 4], k))
        expect(v).toBeCloseTo(0.3, 6);
    }
  });

  it("reproduces a quadratic between pixel centres away from the edge", () => {
    // Keys' kernel with a = -0.5 is exact for polynomials up to degree two.
    const [h, w, k] = [8, 9, 4];
    const f = (y: number, x: number) => 0.2 + 0.1 * y - 0.05 * x + 0.02 * y * y - 0.01 * x * x + 0.03 * x * y;
    const low = Float32Array.from({ length: h * w }, (_, i) => f(Math.floor(i / w), i % w));
    const high = bicubicUpsample(low, [1, 1, h, w], k);
    for (let y = 2 * k; y < (h - 2) * k; y++) {
      for (let x = 2 * k; x < (w - 2) * k; x++) {
        expect(high[y * w * k + x]).toBeCloseTo(f((y + 0.5) / k - 0.5, (x + 0.5) / k - 0.5), 5);
      }
    }
  });

  it("repeats the edge pixel outside", () => {
    // Factor 2, first output at -0.25: taps -2..1 at distances 1.75, 0.75, 0.25, 1.25 of Keys' kernel.
    const taps = [-0.0234375, 0.2265625, 0.8671875, -0.0703125];
    const line = [1, -1, 0.5];
    const expected = (taps[0]! + taps[1]! + taps[2]!) * line[0]! + taps[3]! * line[1]!;
    expect(bicubicUpsample(Float32Array.from(line), [1, 1, 1, 3], 2)[0]).toBeCloseTo(expected, 6);
  });

  it("refuses a broken factor", () => {
    expect(() => bicubicUpsample(new Float32Array(4), [1, 1, 2, 2], 1.5)).toThrow(/got factor 1.5/);
  });
});

const goldenFolder = path.resolve("test/golden");
interface Fixture {
  id: string;
  kind: string;
  file: string;
  config: { data_range?: number | null; kernel?: number; sigma?: number; k1?: number; k2?: number };
  outputs: { name: string; tolerance: { max_abs: number; rel_l2: number } }[];
}

describe.runIf(existsSync(path.join(goldenFolder, "manifest.json")))("recorded numbers", () => {
  function tensors(file: string) {
    const bytes = readFileSync(path.join(goldenFolder, file));
    const length = Number(bytes.readBigUInt64LE(0));
    const header = JSON.parse(bytes.toString("utf8", 8, 8 + length)) as Record<
      string,
      { dtype: string; shape: number[]; data_offsets: [number, number] }
    >;
    return (name: string) => {
      const { dtype, shape, data_offsets } = header[name]!;
      const raw = new Uint8Array(bytes.subarray(8 + length + data_offsets[0], 8 + length + data_offsets[1]));
      const data = dtype === "F64" ? new Float64Array(raw.buffer) : new Float32Array(raw.buffer);
      return { data, shape };
    };
  }
  function results({ kind, file, config }: Fixture): Record<string, ArrayLike<number>> {
    const get = tensors(file);
    if (kind === "psnr") {
      const { data: x, shape } = get("x");
      const [sample, target, sizes] = [get("sample").data, x, shape as unknown as ImageShape];
      const free = { clampSample: false };
      return {
        mse_clamped: meanSquaredError(sample, target, sizes),
        psnr_clamped: psnr(sample, target, sizes),
        mse_unclamped: meanSquaredError(sample, target, sizes, free),
        psnr_unclamped: psnr(sample, target, sizes, free),
      };
    }
    const { data: preds, shape } = get("preds");
    const { full, cropped, dataRange } = structuralSimilarity(
      preds,
      get("target").data,
      shape as unknown as ImageShape,
      {
        ...config,
        dataRange: config.data_range ?? null,
      },
    );
    return { ssim_full: full, ssim_cropped: cropped, data_range: [dataRange] };
  }

  it("psnr and ssim lie within their tolerances", () => {
    const manifest = JSON.parse(readFileSync(path.join(goldenFolder, "manifest.json"), "utf8")) as {
      fixtures: Fixture[];
    };
    const fixtures = manifest.fixtures.filter(({ kind }) => kind === "psnr" || kind === "ssim");
    expect(fixtures.length).toBeGreaterThan(0);
    for (const fixture of fixtures) {
      const got = results(fixture);
      for (const { name, tolerance } of fixture.outputs) {
        const want = tensors(fixture.file)(name).data;
        const errors = Array.from(want, (v, i) => Math.abs(v - got[name]![i]!));
        const relative = Math.hypot(...errors) / Math.hypot(...want);
        expect(Math.max(...errors), `${fixture.id} ${name}`).toBeLessThanOrEqual(tolerance.max_abs);
        expect(relative, `${fixture.id} ${name}`).toBeLessThanOrEqual(tolerance.rel_l2);
      }
    }
  });
});
