// How networks start, what strict loading refuses, and how many heads the decoder's attention has.
import { describe, expect, test } from "vitest";
import { attentionBlock, resBlock, type Block } from "../../src/nn/blocks.ts";
import { CheckpointError } from "../../src/nn/errors.ts";
import { conv2dLayer } from "../../src/nn/layers.ts";
import { Declarations, ParameterSet } from "../../src/nn/parameter.ts";
import { initialise, loadWeights, readState, type WeightSource } from "../../src/nn/state.ts";
import { UNet } from "../../src/nn/unet.ts";
import { randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { smallUNet } from "../helpers/small-network.ts";

expectNothingLeft();

describe("starting values", () => {
  /** Those of layers of one shape. */
  async function started(layers: readonly string[], seed: number) {
    const declarations = new Declarations();
    for (const name of layers) conv2dLayer(declarations.in(name), 4, 4);
    const set = new ParameterSet(await testEngine(), declarations.list, { trainable: true });
    initialise(set, seed);
    const values = new Map((await readState(set)).map(({ name, data }) => [name, Array.from(data)]));
    set.dispose();
    return values;
  }

  test("two layers of one shape start differently, each by itself and the seed", async () => {
    const two = await started(["a", "b"], 1);
    const [a, b] = [two.get("a.weight"), two.get("b.weight")];
    expect(a).toHaveLength(4 * 4 * 9);
    expect(a).not.toEqual(b);
    expect(two.get("a.bias")).not.toEqual(two.get("b.bias"));
    expect(a?.slice(0, 4)).not.toEqual(two.get("a.bias"));
    const [again, other] = [await started(["a"], 1), await started(["a"], 2)];
    expect(again.get("a.weight")).toEqual(a);
    expect(other.get("a.weight")).not.toEqual(a);
    // PyTorch's: uniform up to 1/√(inputs), 36 of them.
    expect(Math.max(...(a ?? []).map(Math.abs))).toBeLessThanOrEqual(1 / 6);
    expect(Math.max(...(a ?? []).map(Math.abs))).toBeGreaterThan(0.9 / 6);
  });

  test.each<readonly [string, (d: Declarations) => Block]>([
    ["attention block", (d) => attentionBlock(d, { channels: 8, numHeads: 2, normGroups: 4 })],
    ["residual block", (d) => resBlock(d, { channels: 8, embChannels: 16, normGroups: 4 })],
  ])("a new %s is the identity", async (_name, block) => {
    const engine = await testEngine();
    const declarations = new Declarations();
    const run = block(declarations);
    const set = new ParameterSet(engine, declarations.list, { trainable: true });
    initialise(set, 1);
    const values = randomArray(2 * 8 * 9, 3);
    const out = engine.noGrad(() =>
      engine.scope(() =>
        run(engine.tensor(values, [2, 8, 3, 3]), engine.tensor(randomArray(32, 4), [2, 16])),
      ),
    );
    expect(await out.read()).toEqual(values);
    out.dispose();
    set.dispose();
  });
});

describe("strict loading", () => {
  async function load(names: readonly string[], prefix = "") {
    const declarations = new Declarations();
    conv2dLayer(declarations.in("a"), 1, 1);
    const set = new ParameterSet(await testEngine(), declarations.list, { trainable: true });
    const shape = (name: string) => (name.endsWith("weight") ? [1, 1, 3, 3] : [1]);
    const read = (name: string) => Promise.resolve(new Float32Array(name.endsWith("weight") ? 9 : 1).fill(2));
    const source: WeightSource = { names, shape, read };
    initialise(set, 1);
    const before = await readState(set);
    try {
      await loadWeights(set, source, prefix, "weights.pt");
      expect((await readState(set)).flatMap(({ data }) => Array.from(data))).toEqual(Array(10).fill(2));
    } catch (error) {
      expect(await readState(set), "nothing is written").toEqual(before);
      throw error;
    } finally {
      set.dispose();
    }
  }

  test("takes what is asked for, under its prefix", async () => {
    await load(["a.weight", "a.bias"]);
    await load(["x.a.weight", "x.a.bias", "other"], "x.");
  });

  test("names what is unexpected and what is missing", async () => {
    const unexpected = load(["a.weight", "a.bias", "b.weight"]);
    await expect(unexpected).rejects.toThrow(CheckpointError);
    await expect(unexpected).rejects.toThrow(
      /^weights.pt: does not fit the network: unexpected 1 \(b\.weight\);/,
    );
    await expect(load(["x.a.weight", "x.a.bias", "x.b"], "x.")).rejects.toThrow("unexpected 1 (x.b);");
    await expect(load(["a.weight", "b"])).rejects.toThrow("missing 1 (a.bias); unexpected 1 (b);");
  });
});

describe("numHeadsUpsample", () => {
  /** The network's output with random weights, but that attention in blocks whose name matches is the identity. */
  async function output(numHeads: number, numHeadsUpsample: number, without: RegExp): Promise<Float32Array> {
    const engine = await testEngine();
    const network = { ...smallUNet(4, 1, numHeads), normGroups: 8, attentionFactors: [1], numHeadsUpsample };
    const unet = new UNet(network);
    const set = new ParameterSet(engine, unet.declarations.list, { trainable: false });
    set.parameters.forEach((p, k) => {
      const isOff = without.test(p.name) && p.name.includes("proj_out");
      const size = p.shape.reduce((a, b) => a * b, 1);
      set.write(p, isOff ? new Float32Array(size) : randomArray(size, k, -0.3, 0.3));
    });
    const out = engine.noGrad(() =>
      engine.scope(() => unet.forward(engine.tensor(randomArray(16, 9), [1, 1, 4, 4]), [300])),
    );
    const values = await out.read();
    out.dispose();
    set.dispose();
    return values;
  }

  test("is the decoder's number of heads", async () => {
    const encoder = /^(input|middle)/;
    const [mixed, one, two] = [
      await output(1, 2, encoder),
      await output(1, -1, encoder),
      await output(2, -1, encoder),
    ];
    expect(relativeError(mixed, two)).toBe(0);
    expect(relativeError(mixed, one)).toBeGreaterThan(1e-3);
  });

  test("and not the encoder's", async () => {
    const decoder = /^output/;
    const [mixed, one, two] = [
      await output(1, 2, decoder),
      await output(1, -1, decoder),
      await output(2, -1, decoder),
    ];
    expect(relativeError(mixed, one)).toBe(0);
    expect(relativeError(mixed, two)).toBeGreaterThan(1e-3);
  });
});
