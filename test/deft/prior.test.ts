// A class-conditional prior: which label each picture of a batch has.
import { expect, test } from "vitest";
import { Prior } from "../../src/deft/prior.ts";
import { UNet } from "../../src/nn/unet.ts";
import type { Tensor } from "../../src/tensor/index.ts";
import { randomArray } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { expectNothingLeft } from "../helpers/live-bytes.ts";
import { smallUNet } from "../helpers/small-network.ts";
import { schedule } from "./algorithms/setting.ts";

expectNothingLeft();

const SIDE = 4;
const PICTURE = SIDE * SIDE;
const network = { ...smallUNet(SIDE, 1), normGroups: 8, numClasses: 3 };

async function classPrior(): Promise<Prior> {
  const engine = await testEngine();
  const { list } = new UNet(network).declarations;
  const shapes = new Map(list.map(({ name, shape }, k) => [name, { shape, k }]));
  const shape = (name: string) => shapes.get(name)?.shape ?? [];
  const read = (name: string) => {
    const size = shape(name).reduce((a, b) => a * b, 1);
    return Promise.resolve(randomArray(size, shapes.get(name)?.k ?? 0, -0.3, 0.3));
  };
  const source = { names: [...shapes.keys()], shape, read };
  return Prior.load(engine, { network, prediction: "epsilon", schedule }, source, "test prior");
}

test("labels go round where a batch holds the pictures several times", async () => {
  const engine = await testEngine();
  const prior = await classPrior();
  // The same picture four times, so that the labels alone make a difference.
  const one = randomArray(PICTURE, 1);
  const x = engine.tensor(Float32Array.from([one, one, one, one].flatMap((v) => Array.from(v))), [
    4,
    1,
    SIDE,
    SIDE,
  ]);
  const eps = async (labels: readonly number[]): Promise<number[][]> => {
    const out: Tensor = prior.labelled(labels)(x, [7, 7, 7, 7]);
    const values = Array.from(await out.read());
    out.dispose();
    return [0, 1, 2, 3].map((k) => values.slice(k * PICTURE, (k + 1) * PICTURE));
  };
  const close = (a: readonly number[] = [], b: readonly number[] = []) =>
    a.forEach((v, i) => expect(v).toBeCloseTo(b[i] ?? NaN, 5));
  const [zero, first, second] = [await eps([0, 0, 0, 0]), await eps([1, 1, 1, 1]), await eps([2, 2, 2, 2])];
  const all = [zero[0], first[0], second[0]] as const;
  for (const [a, b] of [
    [0, 1],
    [1, 2],
    [0, 2],
  ] as const) {
    const distance = Math.max(...all[a]!.map((v, i) => Math.abs(v - all[b]![i]!)));
    expect(distance, `labels ${a} and ${b} differ`).toBeGreaterThan(0.01);
  }
  const expectLabels = async (given: readonly number[], want: readonly number[]) => {
    const got = await eps(given);
    want.forEach((label, k) => close(got[k], all[label]));
  };
  await expectLabels([0, 1], [0, 1, 0, 1]);
  await expectLabels([2, 0, 1], [2, 0, 1, 2]);
  await expectLabels([1], [1, 1, 1, 1]);
  x.dispose();
  prior.release();
  prior.dispose();
});
