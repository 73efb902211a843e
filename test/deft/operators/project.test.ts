// Pictures moved onto a measurement.
import { expect, it } from "vitest";
import { phaseRetrieval } from "../../../src/deft/operators/phase-retrieval.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import { randomArray, relativeError } from "../../helpers/check-op.ts";
import { testEngine } from "../../helpers/engine.ts";
import { expectNothingLeft } from "../../helpers/live-bytes.ts";

const at = (x: ArrayLike<number>, i: number): number => x[i] as number;

expectNothingLeft();

it("sr2: each pixel gets what the mean of its block lacks, and A of it is y", async () => {
  const engine = await testEngine();
  const [h, w] = [4, 6];
  const values = randomArray(2 * h * w, 1, -2, 2);
  const measured = randomArray((2 * h * w) / 4, 2);
  const [projected, again] = engine.scope(() => {
    const operator = superResolution(2, [1, h, w]);
    const y = engine.tensor(measured, [2, 1, h / 2, w / 2]);
    const p = operator.project(engine.tensor(values, [2, 1, h, w]), y);
    return [p, operator.apply(p)];
  });
  /** Block of pixel i, pictures stacked. */
  const blockOf = (i: number) => Math.floor(i / w / 2) * (w / 2) + ((i % w) >> 1);
  const means = new Float64Array(measured.length);
  values.forEach((v, i) => (means[blockOf(i)]! += v / 4));
  const want = Array.from(values, (v, i) => v + at(measured, blockOf(i)) - at(means, blockOf(i)));
  expect(relativeError(await projected.read(), want)).toBeLessThan(1e-6);
  expect(relativeError(await again.read(), measured)).toBeLessThan(1e-6);
  for (const t of [projected, again]) t.dispose();
});

/** The centred orthonormal DFT of a picture of complex numbers, or its inverse, by the double sum. */
function transform(
  { re, im }: { re: ArrayLike<number>; im: ArrayLike<number> },
  [h, w]: readonly [number, number],
  sign: 1 | -1,
) {
  const out = { re: new Float64Array(h * w), im: new Float64Array(h * w) };
  for (let k = 0; k < h * w; k++)
    for (let i = 0; i < h * w; i++) {
      const product = (size: number, a: number, b: number) => ((a - (size >> 1)) * (b - (size >> 1))) / size;
      const turns = product(h, Math.floor(k / w), Math.floor(i / w)) + product(w, k % w, i % w);
      const [c, s] = [Math.cos(2 * Math.PI * turns), sign * Math.sin(2 * Math.PI * turns)];
      out.re[k]! += (c * at(re, i) - s * at(im, i)) / Math.sqrt(h * w);
      out.im[k]! += (s * at(re, i) + c * at(im, i)) / Math.sqrt(h * w);
    }
  return out;
}

it("phase_retrieval: the picture's phases with the measured magnitudes; the truth stays", async () => {
  const engine = await testEngine();
  const [h, w] = [8, 9];
  const [top, left] = [2, 2];
  const padded = [h + 2 * top, w + 2 * left] as const;
  const truth = randomArray(h * w, 3, -0.9, 0.9);
  const other = randomArray(h * w, 4, -0.9, 0.9);
  const [y, kept, moved, again] = engine.scope(() => {
    const operator = phaseRetrieval([1, h, w], { oversample: 2 });
    const x = engine.tensor(truth, [1, 1, h, w]);
    const y = operator.apply(x);
    const kept = operator.project(x, y);
    const moved = operator.project(engine.tensor(other, [1, 1, h, w]), y);
    return [y, kept, moved, operator.apply(kept)];
  });
  const measured = await y.read();
  const place = (x: ArrayLike<number>) => {
    const out = new Float64Array(padded[0] * padded[1]);
    for (let i = 0; i < h * w; i++)
      out[(top + Math.floor(i / w)) * padded[1] + left + (i % w)] = (at(x, i) + 1) / 2;
    return { re: out, im: new Float64Array(out.length) };
  };
  const z = transform(place(other), padded, -1);
  const factor = Float64Array.from(measured, (v, i) => v / Math.hypot(at(z.re, i), at(z.im, i)));
  const scaled = { re: z.re.map((v, i) => v * at(factor, i)), im: z.im.map((v, i) => v * at(factor, i)) };
  const back = transform(scaled, padded, 1);
  const want = Array.from({ length: h * w }, (_, i) => {
    const k = (top + Math.floor(i / w)) * padded[1] + left + (i % w);
    return 2 * Math.hypot(at(back.re, k), at(back.im, k)) - 1;
  });
  expect(relativeError(await moved.read(), want)).toBeLessThan(1e-5);
  expect(relativeError(want, other)).toBeGreaterThan(0.1);
  expect(relativeError(await kept.read(), truth)).toBeLessThan(1e-5);
  expect(relativeError(await again.read(), measured)).toBeLessThan(1e-5);
  for (const t of [y, kept, moved, again]) t.dispose();
});
