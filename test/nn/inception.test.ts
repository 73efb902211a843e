import { describe, expect, it } from "vitest";
import { alongSides, bilinear } from "../../src/nn/along-sides.ts";
import { Inception, INCEPTION_CLASSES, INCEPTION_FEATURES } from "../../src/nn/inception.ts";
import type { WeightSource } from "../../src/nn/state.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { inception as reference } from "../reference/inception.ts";
import { inceptionShapes } from "../reference/inception-shapes.ts";
import type { Weights } from "../reference/lpips.ts";

/** Convolutions of He's variance; norms near 1, means and shifts near 0. */
function randomWeights(): Weights {
  return new Map(
    inceptionShapes().map(([name, shape], k) => {
      const [n, fan] = [shape.reduce((a, b) => a * b, 1), shape.slice(1).reduce((a, b) => a * b, 1)];
      const bound = Math.sqrt(6 / fan);
      const isScale = /bn\.(weight|running_var)$/.test(name);
      const [lo, hi] = isScale ? [0.7, 1.3] : shape.length === 1 ? [-0.2, 0.2] : [-bound, bound];
      return [name, { shape, data: randomArray(n, k, lo, hi) }];
    }),
  );
}

const sourceOf = (weights: Weights): WeightSource => ({
  names: [...weights.keys()],
  shape: (name) => weights.get(name)!.shape,
  read: (name) => Promise.resolve(weights.get(name)!.data as Float32Array<ArrayBuffer>),
});

describe("Inception-v3", () => {
  it("features and logits against float64; nothing stays", { timeout: 120_000 }, async () => {
    const engine = await testEngine();
    const before = engine.device.pool.stats.live;
    const weights = randomWeights();
    const extra: Weights = new Map([...weights, ["AuxLogits.conv0.conv.weight", { shape: [1], data: [0] }]]);
    const net = await Inception.load(engine, sourceOf(extra), "weights");
    const [side, n] = [75, 75 * 75 * 3];
    const x = randomArray(2 * n, 7);
    const { features, logits } = engine.noGrad(() =>
      engine.scope(() => net.forward(engine.tensor(x, [2, 3, side, side]), side)),
    );
    expect([features.shape, logits.shape]).toEqual([
      [2, INCEPTION_FEATURES],
      [2, INCEPTION_CLASSES],
    ]);
    const want = reference(weights, { c: 3, h: side, w: side, data: Float64Array.from(x.subarray(n)) });
    expect(relativeError((await features.read()).subarray(INCEPTION_FEATURES), want.features)).toBeLessThan(
      1e-5,
    );
    expect(relativeError((await logits.read()).subarray(INCEPTION_CLASSES), want.logits)).toBeLessThan(1e-5);
    for (const t of [features, logits]) t.dispose();
    net.dispose();
    await engine.device.queue.idle();
    expect(engine.device.pool.stats.live - before).toBe(0);
  });

  it("names what its file lacks", async () => {
    const engine = await testEngine();
    const weights = new Map(randomWeights());
    weights.delete("Mixed_5c.branch1x1.bn.running_var");
    await expect(Inception.load(engine, sourceOf(weights), "w.pth")).rejects.toThrow(
      "w.pth: Mixed_5c.branch1x1.bn.running_var is missing or not [64]",
    );
    await expect(Inception.load(engine, sourceOf(new Map()), "w.pth")).rejects.toThrow(
      "w.pth: does not fit the network",
    );
  });
});

it.each([
  [5, 12],
  [32, 299],
  [9, 4],
])("bilinear from %i to %i pixels, each side on its own", async (from, to) => {
  const engine = await testEngine();
  const x = randomArray(from * 7, 1);
  const y = engine.scope(() =>
    alongSides(engine.tensor(x, [1, 1, from, 7]), bilinear(from, to), bilinear(7, 3)),
  );
  expect(y.shape).toEqual([1, 1, to, 3]);
  const weight = (out: number, n: number, r: number, c: number): number => {
    const at = Math.min(n - 1, Math.max(0, ((r + 0.5) * n) / out - 0.5));
    return Math.max(0, 1 - Math.abs(at - c));
  };
  const want = Float64Array.from({ length: to * 3 }, (_, i) => {
    let sum = 0;
    for (let a = 0; a < from; a++)
      for (let b = 0; b < 7; b++)
        sum += weight(to, from, Math.floor(i / 3), a) * weight(3, 7, i % 3, b) * x[a * 7 + b]!;
    return sum;
  });
  expect(relativeError(await y.read(), want)).toBeLessThan(2e-6);
  y.dispose();
});
