import { describe, expect, it } from "vitest";
import { Lpips } from "../../src/nn/lpips.ts";
import { Declarations } from "../../src/nn/parameter.ts";
import type { WeightSource } from "../../src/nn/state.ts";
import { trunk, trunkChannels, trunkNames, type TrunkName } from "../../src/nn/trunks.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { lpips as reference, type Weights } from "../reference/lpips.ts";

/** Weights of He's variance for a trunk, heads from 0 to 1. */
function weightsOf(name: TrunkName): Weights {
  const d = new Declarations();
  trunk(d, name);
  const weights = new Map(
    d.list.map(({ name, shape }, k) => {
      const [n, fan] = [shape.reduce((a, b) => a * b, 1), shape.slice(1).reduce((a, b) => a * b, 1)];
      const bound = shape.length === 1 ? 0.1 : Math.sqrt(6 / fan);
      return [name, { shape, data: randomArray(n, 40 + k, -bound, bound) }];
    }),
  );
  trunkChannels(name).forEach((c, k) =>
    weights.set(`lin${k}.model.1.weight`, { shape: [1, c, 1, 1], data: randomArray(c, k, 0, 1) }),
  );
  return weights;
}

const sourceOf = (weights: Weights, rename = (name: string) => name): WeightSource => {
  const named = new Map([...weights].map(([name, t]) => [rename(name), t]));
  return {
    names: [...named.keys()],
    shape: (name) => named.get(name)!.shape,
    read: (name) => Promise.resolve(named.get(name)!.data as Float32Array<ArrayBuffer>),
  };
};

const only = (weights: Weights, prefix: string): Weights =>
  new Map([...weights].filter(([name]) => name.startsWith(prefix)));

async function distances(
  lpips: Lpips,
  x: Float32Array<ArrayBuffer>,
  y: Float32Array<ArrayBuffer>,
  shape: number[],
) {
  const { engine } = lpips.parameters;
  const d = engine.noGrad(() =>
    engine.scope(() => lpips.distance(engine.tensor(x, shape), engine.tensor(y, shape))),
  );
  const values = [...(await d.read())];
  d.dispose();
  return values;
}

describe("LPIPS", () => {
  const sizes: Record<TrunkName, [number, number]> = { alex: [47, 36], vgg: [16, 20], squeeze: [33, 24] };

  it.each(trunkNames)("%s against float64, two pictures at once; nothing stays", async (name) => {
    const engine = await testEngine();
    const before = engine.device.pool.stats.live;
    const weights = weightsOf(name);
    const [heads, rest] = [only(weights, "lin"), only(weights, "features")];
    const lpips = await Lpips.load(
      engine,
      { file: "heads", source: sourceOf(heads) },
      {
        file: "trunk",
        source: sourceOf(new Map([...rest, ["classifier.1.weight", { shape: [1], data: [0] }]])),
      },
    );
    expect(lpips.trunk).toBe(name);
    const [h, w] = sizes[name];
    const [x, y] = [randomArray(6 * h * w, 1), randomArray(6 * h * w, 2)];
    y.set(x.subarray(0, 3 * h * w).map((v, i) => v + y[i]! / 10)); // a close pair and a distant one
    const found = await distances(lpips, x, y, [2, 3, h, w]);
    [0, 1].forEach((k) => {
      const at = (v: Float32Array) => ({
        c: 3,
        h,
        w,
        data: Float64Array.from(v.subarray(k * 3 * h * w, (k + 1) * 3 * h * w)),
      });
      const want = reference(name, weights, at(x), at(y));
      expect(Math.abs(found[k]! - want)).toBeLessThan(2e-5 * want);
    });
    expect(found[0]).toBeLessThan(found[1]! / 4);
    expect(await distances(lpips, x, x, [2, 3, h, w])).toEqual([0, 0]);
    lpips.dispose();
    await engine.device.queue.idle();
    expect(engine.device.pool.stats.live - before).toBe(0);
  });

  it("takes one complete file, and grey pictures as three equal channels", async () => {
    const engine = await testEngine();
    const weights = weightsOf("squeeze");
    const complete = sourceOf(weights, (name) => name.replace(/^features\./, "net.slice9."));
    const lpips = await Lpips.load(engine, { file: "complete", source: complete }, null);
    const [x, y] = [randomArray(32 * 32, 1), randomArray(32 * 32, 2)];
    const thrice = (v: Float32Array<ArrayBuffer>) => Float32Array.from([...v, ...v, ...v]);
    const grey = await distances(lpips, x, y, [1, 1, 32, 32]);
    expect(grey).toEqual(await distances(lpips, thrice(x), thrice(y), [1, 3, 32, 32]));
    lpips.dispose();
  });

  it("says which file does not fit and how", async () => {
    const engine = await testEngine();
    const [weights, other] = [weightsOf("squeeze"), weightsOf("alex")];
    const heads = { file: "h.pth", source: sourceOf(only(weights, "lin")) };
    const load = (a: typeof heads, b: typeof heads | null) => Lpips.load(engine, a, b);
    await expect(load(heads, null)).rejects.toThrow(
      "h.pth: holds the linear heads of LPIPS only; expected the trunk (squeeze)",
    );
    const alex = { file: "a.pth", source: sourceOf(only(other, "features")) };
    await expect(load(heads, alex)).rejects.toThrow("h.pth with a.pth: does not fit the network: missing");
    await expect(load(alex, null)).rejects.toThrow("a.pth: not the linear heads of LPIPS");
  });
});
