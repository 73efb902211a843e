// Options of degradations reach the operators that a task makes; the hybrid input-output estimate in float64.
import { describe, expect, test } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import type { Operator } from "../../src/deft/operator.ts";
import { ct, type CtOptions } from "../../src/deft/operators/ct.ts";
import { phaseRetrieval, type PhaseOptions } from "../../src/deft/operators/phase-retrieval.ts";
import { generatedMasks, makeTask } from "../../src/deft/task.ts";
import type { Engine, Tensor } from "../../src/tensor/index.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";

expectNothingLeft();

const SIDE = 8;
const PICTURE = randomArray(SIDE * SIDE, 3, -0.9, 0.9);

const resolve = (...words: string[]) => resolveConfig(["model=phantoms", ...words]).config;
const forwardOp = (words: readonly string[]) => words.map((word) => `likelihood.forward_op.${word}`);

async function valuesOf(make: (engine: Engine) => Operator, f: (o: Operator, x: Tensor) => Tensor) {
  const engine = await testEngine();
  const out = engine.scope(() => f(make(engine), engine.tensor(PICTURE, [1, 1, SIDE, SIDE])));
  const values = await out.read();
  out.dispose();
  return values;
}

const byTask =
  (deg: string, ...words: string[]) =>
  (engine: Engine): Operator => {
    const config = resolve(`algo.deg=${deg}`, ...forwardOp(words));
    return makeTask(config, SIDE, 1, null).operator(engine, [0]);
  };

describe("masks", () => {
  const masks = (deg: string, ...words: string[]) => {
    const source = generatedMasks(resolve(`algo.deg=${deg}`, ...words), 32);
    return [0, 1, 2].map((i) => Array.from(source?.mask(i) ?? []));
  };

  test.each(["inp_box", "inp_freeform"])("%s: exp.seed draws them", (deg) => {
    const first = masks(deg, "exp.seed=1");
    expect(first[0]).toHaveLength(32 * 32);
    expect(masks(deg, "exp.seed=1")).toEqual(first);
    masks(deg, "exp.seed=2").forEach((mask, i) => expect(mask, `mask ${i}`).not.toEqual(first[i]));
    expect(first[0]).not.toEqual(first[1]);
  });

  test("min_mask_size and max_mask_size, at side 256", () => {
    const sizes = forwardOp(["min_mask_size=80", "max_mask_size=80"]);
    for (const mask of masks("inp_box", ...sizes)) expect(mask.filter((v) => v === 0)).toHaveLength(100);
    const small = forwardOp(["min_mask_size=8", "max_mask_size=8"]);
    for (const mask of masks("inp_box", ...small)) expect(mask.filter((v) => v === 0)).toHaveLength(1);
  });
});

describe("ct", () => {
  const own = (options: Partial<CtOptions>) => (engine: Engine) => ct(engine, [1, SIDE, SIDE], options);
  const back = (operator: Operator, x: Tensor) => operator.pinv(operator.apply(x));

  test.each<readonly [string, Partial<CtOptions>]>([
    ["angle_range=90", { angleRange: 90 }],
    ["circle=true", { circle: true }],
    ["num_angles=5", { numAngles: 5 }],
  ])("%s", async (word, options) => {
    const few = { numAngles: 7 };
    const got = await valuesOf(byTask("ct", "num_angles=7", word), back);
    expect(got).toEqual(await valuesOf(own({ ...few, ...options }), back));
    expect(relativeError(got, await valuesOf(own(few), back))).toBeGreaterThan(0.01);
  });
});

/** z of padded size n: centred orthonormal transform by the double sum; `sign` 1: back. */
function transformed(re: Float64Array, im: Float64Array, n: number, sign: 1 | -1) {
  const [outRe, outIm, c] = [new Float64Array(n * n), new Float64Array(n * n), n >> 1];
  for (let u = 0; u < n; u++)
    for (let v = 0; v < n; v++)
      for (let i = 0; i < n; i++)
        for (let j = 0; j < n; j++) {
          const angle = ((sign * 2 * Math.PI) / n) * ((i - c) * (u - c) + (j - c) * (v - c));
          const [a, b] = [re[i * n + j]!, im[i * n + j]!];
          outRe[u * n + v]! += (a * Math.cos(angle) - b * Math.sin(angle)) / n;
          outIm[u * n + v]! += (a * Math.sin(angle) + b * Math.cos(angle)) / n;
        }
  return [outRe, outIm] as const;
}

/** Fienup 1982, eq. 44, from the picture x and the magnitudes y of a square of side n. */
function hybridInputOutput(
  x: ArrayLike<number>,
  y: ArrayLike<number>,
  n: number,
  o: Omit<PhaseOptions, "oversample">,
) {
  const margin = (n - SIDE) / 2;
  const inside = (k: number) => {
    const [i, j] = [Math.floor(k / n) - margin, (k % n) - margin];
    return i >= 0 && i < SIDE && j >= 0 && j < SIDE ? i * SIDE + j : -1;
  };
  const project = (z: Float64Array) => {
    const [re, im] = transformed(z, new Float64Array(n * n), n, -1);
    const factor = re.map((v, k) => y[k]! / Math.hypot(v, im[k]!));
    return transformed(
      re.map((v, k) => v * factor[k]!),
      im.map((v, k) => v * factor[k]!),
      n,
      1,
    )[0];
  };
  let z = Float64Array.from({ length: n * n }, (_, k) => (inside(k) < 0 ? 0 : (x[inside(k)]! + 1) / 2));
  for (let step = 0; step < o.iterations; step++) {
    const next = project(z);
    z = z.map((v, k) => {
      const w = next[k]!;
      return inside(k) >= 0 && w >= 0 && w <= 1 ? w : v - o.beta * w;
    });
  }
  return Array.from(project(z))
    .filter((_, k) => inside(k) >= 0)
    .map((v) => 2 * Math.min(1, Math.max(0, v)) - 1);
}

describe("phase_retrieval", () => {
  const options = { iterations: 3, beta: 0.9 };
  /** The estimate from the picture of measured magnitudes that are not its own. */
  const magnitudes = (n: number) => randomArray(n * n, 8, 0, 1);
  const estimate = (n: number) => (operator: Operator, x: Tensor) =>
    operator.conditioning(x.engine.tensor(magnitudes(n), [1, 1, n, n]), x)[1]!;
  const own = (o: Partial<PhaseOptions>) => () => phaseRetrieval([1, SIDE, SIDE], { ...options, ...o });

  test.each<Partial<PhaseOptions>>([{}, { beta: 0.5 }, { iterations: 1 }, { iterations: 0 }])(
    "hybrid input-output with %j against float64",
    async (o) => {
      const got = await valuesOf(own(o), estimate(12));
      const want = hybridInputOutput(PICTURE, magnitudes(12), 12, { ...options, ...o });
      expect(relativeError(got, want)).toBeLessThan(1e-4);
    },
  );

  test.each<readonly [string, Partial<PhaseOptions>, number]>([
    ["hio_beta=0.5", { beta: 0.5 }, 12],
    ["hio_iterations=1", { iterations: 1 }, 12],
    ["oversample=4", { oversample: 4 }, 16],
  ])("%s", async (word, o, n) => {
    const words = ["hio_iterations=3", "hio_beta=0.9", word];
    const got = await valuesOf(byTask("phase_retrieval", ...words), estimate(n));
    expect(got).toEqual(await valuesOf(own(o), estimate(n)));
    if (n === 12) expect(relativeError(got, await valuesOf(own({}), estimate(n)))).toBeGreaterThan(0.01);
  });
});
