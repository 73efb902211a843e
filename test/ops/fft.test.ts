import { describe, expect, test } from "vitest";
import { radices } from "../../src/kernels/fft.ts";
import { concat, fft2, reshape, type Fft2Options, type Tensor } from "../../src/tensor/index.ts";
import { checkOp, relativeError, type F64 } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";

/** The definition, axis by axis in float64: rotate by the middle, sum, rotate back. Real parts first. */
function dft2(re: F64, im: F64, h: number, w: number, { inverse, centered, ortho }: Fft2Options): F64 {
  const axis = (x: F64, n: number, stride: number, at: (line: number) => number): F64 => {
    const half = x.length / 2;
    const out = new Float64Array(x.length);
    const middle = centered ? Math.floor(n / 2) : 0;
    for (let line = 0; line < half / n; line++)
      for (let k = 0; k < n; k++) {
        let [a, b] = [0, 0];
        for (let j = 0; j < n; j++) {
          const phi = ((inverse ? 2 : -2) * Math.PI * ((j * k) % n)) / n;
          const from = at(line) + ((j + middle) % n) * stride;
          a += Math.cos(phi) * (x[from] as number) - Math.sin(phi) * (x[half + from] as number);
          b += Math.sin(phi) * (x[from] as number) + Math.cos(phi) * (x[half + from] as number);
        }
        const to = at(line) + ((k + middle) % n) * stride;
        out[to] = a;
        out[half + to] = b;
      }
    return out;
  };
  const factor = ortho ? 1 / Math.sqrt(h * w) : inverse ? 1 / (h * w) : 1;
  const rows = axis(Float64Array.from([...re, ...im]), w, 1, (line) => line * w);
  return axis(rows, h, w, (line) => Math.floor(line / w) * h * w + (line % w)).map((v) => factor * v);
}

const both = ({ re, im }: { re: Tensor; im: Tensor }): Tensor =>
  concat([reshape(re, [1, ...re.shape]), reshape(im, [1, ...im.shape])], 0);

describe("fft2", () => {
  const cases: [number[], Fft2Options][] = [
    [[2, 3, 12, 12], { centered: true, ortho: true }],
    [[2, 3, 12, 12], { centered: true, ortho: true, inverse: true }],
    [[1, 1], {}],
    [[8, 16], {}],
    [[2, 5, 7], { centered: true }],
    [[2, 9, 6], { inverse: true, centered: true }],
    [[1, 13, 30], { inverse: true }],
    [[3, 1, 8], { ortho: true }],
    [[8, 1], {}],
    [[64, 96], { ortho: true }],
  ];
  for (const [shape, options] of cases) {
    const [h, w] = shape.slice(-2) as [number, number];
    test(`complex [${shape.join(",")}] ${JSON.stringify(options)}`, () =>
      checkOp({
        shapes: [shape, shape],
        out: [2, ...shape],
        run: (re, im) => both(fft2(re, im, options)),
        reference: (re, im) => dft2(re, im, h, w, options),
      }));
    test(`real [${shape.join(",")}] ${JSON.stringify(options)}`, () =>
      checkOp({
        shapes: [shape],
        out: [2, ...shape],
        run: (re) => both(fft2(re, null, options)),
        reference: (re) => dft2(re, new Float64Array(re.length), h, w, options),
      }));
  }

  test("large sides, a prime among them: inverse of forward is the identity", async () => {
    const engine = await testEngine();
    for (const shape of [
      [512, 512],
      [509, 384],
    ]) {
      const size = (shape[0] as number) * (shape[1] as number);
      const data = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7));
      const back = engine.scope(() => {
        const z = fft2(engine.tensor(data, shape), null, { centered: true });
        return fft2(z.re, z.im, { centered: true, inverse: true });
      });
      const [re, im] = [await back.re.read(), await back.im.read()];
      expect(relativeError(re, data)).toBeLessThan(2e-6);
      expect(im.reduce((a, v) => Math.max(a, Math.abs(v)), 0)).toBeLessThan(2e-6);
      back.re.dispose();
      back.im.dispose();
    }
  });

  test("radices", () => {
    expect([1, 2, 12, 512, 509, 360].map(radices)).toEqual([
      [1],
      [2],
      [4, 3],
      [4, 4, 4, 4, 2],
      [509],
      [4, 2, 3, 3, 5],
    ]);
  });

  test("parts of two shapes", async () => {
    const engine = await testEngine();
    const run = () => fft2(engine.tensor([1, 2], [1, 2]), engine.tensor([1, 2], [2, 1]));
    expect(() => engine.scope(run)).toThrow("fft2: im has shape [2,1]; expected [1,2]");
  });
});
