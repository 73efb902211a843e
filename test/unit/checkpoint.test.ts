import { beforeAll, describe, expect, it } from "vitest";
import { ParameterSet } from "../../src/nn/parameter.ts";
import { UNet, type UNetConfig } from "../../src/nn/unet.ts";
import {
  add,
  checkpoint,
  GradientError,
  mul,
  Philox,
  randomNormal,
  sin,
  sizeOf,
  square,
  sum,
  type Engine,
  type Tensor,
} from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";

let engine: Engine;

beforeAll(async () => {
  engine = await testEngine();
});
expectNothingLeft();

function leaf(values: readonly number[]): Tensor {
  const t = engine.tensor(values);
  t.requiresGrad = true;
  return t;
}

/** y and the gradients of Σ y² by a and b, with or without recomputation. */
async function both(
  a: readonly number[],
  b: readonly number[],
  f: (x: Tensor, y: Tensor) => Tensor,
  call: (f: (x: Tensor, y: Tensor) => Tensor, x: Tensor, y: Tensor) => Tensor,
): Promise<number[][]> {
  const tensors = engine.scope(() => {
    const [x, y] = [leaf(a), leaf(b)];
    const out = call(f, x, y);
    const [dx, dy] = engine.gradients(sum(square(out), { axes: null }), [x, y]);
    return [out, dx, dy];
  });
  const values = await Promise.all(tensors.map(async (t) => [...((await t?.read()) ?? [])]));
  for (const t of tensors) t?.dispose();
  return values;
}

describe("checkpoint", () => {
  const [a, b] = [
    [0.3, -1.2, 2],
    [1.5, 0.4, -0.7],
  ] as const;
  const f = (x: Tensor, y: Tensor) => mul(sin(x), add(x, mul(y, y)));

  it("gives the values and gradients of the plain function, and those of float64", async () => {
    const got = await both(a, b, f, (fn, x, y) => checkpoint(fn as never, [x, y]));
    expect(got).toEqual(await both(a, b, f, (fn, x, y) => fn(x, y)));
    a.forEach((x, i) => {
      const y = b[i] as number;
      const value = Math.sin(x) * (x + y * y);
      expect(got[0]?.[i]).toBeCloseTo(value, 5);
      expect(got[1]?.[i]).toBeCloseTo(2 * value * (Math.cos(x) * (x + y * y) + Math.sin(x)), 4);
      expect(got[2]?.[i]).toBeCloseTo(2 * value * Math.sin(x) * 2 * y, 4);
    });
  });

  it("works inside another, and where the function returns its input", async () => {
    const nested = (x: Tensor, y: Tensor) =>
      checkpoint(
        (p, q) =>
          f(
            checkpoint((r) => r as Tensor, [p as Tensor]),
            q as Tensor,
          ),
        [x, y],
      );
    const got = await both(a, b, nested, (fn, x, y) => checkpoint(fn as never, [x, y]));
    expect(got).toEqual(await both(a, b, f, (fn, x, y) => fn(x, y)));
  });

  it("gives a captured parameter its gradient, and refuses one that it was not told of", async () => {
    const got = await both(a, b, f, (fn, x, y) => checkpoint((p) => fn(p as Tensor, y), [x], [y]));
    expect(got).toEqual(await both(a, b, f, (fn, x, y) => fn(x, y)));
    engine.scope(() => {
      const [x, y] = [leaf(a), leaf(b)];
      const out = checkpoint((p) => f(p as Tensor, y), [x]);
      const backward = () => engine.gradients(sum(out, { axes: null }), [x]);
      expect(backward).toThrow(GradientError);
      engine.dropTape();
    });
  });

  it("records nothing where nothing is wanted", () => {
    engine.scope(() => {
      const [x, y] = [engine.tensor(a), engine.tensor(b)];
      expect(checkpoint(f as never, [x, y]).node).toBeUndefined();
      expect(engine.noGrad(() => checkpoint(f as never, [leaf(a), y]).node)).toBeUndefined();
    });
  });

  it("runs the function once forward and once backward", () => {
    let runs = 0;
    engine.scope(() => {
      const x = leaf(a);
      const out = checkpoint((p) => (runs++, square(p as Tensor)), [x]);
      expect(runs).toBe(1);
      engine.gradients(sum(out, { axes: null }), [x]);
      expect(runs).toBe(2);
    });
  });
});

const config: UNetConfig = {
  imageSize: 16,
  inChannels: 3,
  outChannels: 3,
  learnSigma: true,
  modelChannels: 32,
  channelMult: [1, 2],
  numResBlocks: 4,
  attentionFactors: [2],
  numHeads: 2,
  numHeadChannels: -1,
  useScaleShiftNorm: true,
  resblockUpdown: true,
  useNewAttentionOrder: false,
  numClasses: null,
};

interface Run {
  readonly gradients: Float32Array[];
  /** Bytes above those of weights, inputs and the weights' gradients. */
  readonly peak: number;
}

/** Gradients of Σ ε² by x and, if trainable, the weights. */
async function gradientsOf(trainable: boolean, recompute: boolean): Promise<Run> {
  const net = new UNet(config);
  net.recompute = recompute;
  const set = new ParameterSet(engine, net.declarations.list, { trainable });
  set.parameters.forEach((p, k) => {
    const random = new Philox(1, k);
    set.write(
      p,
      Float32Array.from({ length: sizeOf(p.shape) }, () => 0.1 * random.normal()),
    );
  });
  const x = randomNormal(engine, [2, 3, 16, 16], { seed: 1, stream: 1 });
  x.requiresGrad = true;
  // Weights keep what kernels derive from them: so that both runs find it made.
  const once = engine.noGrad(() => net.forward(x, [10, 500]));
  once.dispose();
  const { pool } = engine.device;
  pool.resetPeak();
  const start = pool.stats.live;
  const wanted = [x, ...(trainable ? set.parameters.map((p) => p.value) : [])];
  const found = engine.scope(() =>
    engine.gradients(sum(square(net.forward(x, [10, 500])), { axes: null }), wanted),
  );
  const ofWeights = trainable ? set.flat.reduce((bytes, t) => bytes + t.bytes, 0) : 0;
  const peak = pool.stats.peak - start - ofWeights;
  const gradients: Float32Array[] = [];
  for (const t of found) {
    gradients.push(t ? await t.read() : new Float32Array());
    t?.dispose();
  }
  x.dispose();
  set.dispose();
  return { gradients, peak };
}

describe("UNet.recompute", () => {
  for (const trainable of [false, true])
    it(`gives the same gradients by x${trainable ? " and the weights" : ""} with less memory`, async () => {
      const plain = await gradientsOf(trainable, false);
      const again = await gradientsOf(trainable, true);
      expect(plain.gradients[0]?.some((v) => Math.abs(v) > 1e-3)).toBe(true);
      const whole = Math.hypot(...plain.gradients.map((g) => Math.hypot(...g)));
      plain.gradients.forEach((want, k) => {
        const got = again.gradients[k] as Float32Array;
        expect(got).toHaveLength(want.length);
        expect(Math.hypot(...want.map((v, i) => v - (got[i] as number)))).toBeLessThan(1e-6 * whole);
      });
      expect(again.peak).toBeLessThan(0.7 * plain.peak);
    });

  it("refuses dropout", () => {
    const net = new UNet({ ...config, dropout: 0.1 });
    net.recompute = true;
    const set = new ParameterSet(engine, net.declarations.list, { trainable: true });
    const x = engine.tensor(new Float32Array(768), [1, 3, 16, 16]);
    expect(() => net.dropout.during({ seed: 1, stream: 1 }, () => net.forward(x, [1]))).toThrow(
      "recompute with dropout",
    );
    x.dispose();
    set.dispose();
  });
});
