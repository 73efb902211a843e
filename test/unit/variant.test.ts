// Which variant a problem gets: rules, forced kernels, tuning tables; and the names of problems, which tables are written with.
import { beforeAll, describe, expect, test } from "vitest";
import type { Device } from "../../src/gpu/device.ts";
import { checkChoices, defineVariants, listVariants, type Variant } from "../../src/kernels/variant.ts";
import {
  attention,
  Engine,
  groupNorm,
  linear,
  openDevice,
  silu,
  softmax,
  sum,
} from "../../src/tensor/index.ts";
import { adamStep, conv2d, matmul, type DeviceOptions, type Tensor } from "../../src/tensor/index.ts";
import { testAdapter } from "../helpers/gpu.ts";

const FAMILY = "test-family";
const variants: readonly Variant<number>[] = [
  { name: "even", can: (_, n) => n % 2 === 0, wins: (_, n) => n > 100 },
  { name: "large", wins: (_, n) => n > 10 },
  { name: "base" },
];
const pick = defineVariants(FAMILY, variants, (n: number) => `n${n}`);

/** What variants read of a device. */
function deviceOf({
  kernels = "",
  picked,
  ...o
}: DeviceOptions & { table?: Record<string, string> }): Device {
  const tuning = { source: "a.json", variants: new Map(Object.entries(o.table ?? {})) };
  return { kernels, picked, tuning, cache: new Map(), adapterName: "an adapter" } as unknown as Device;
}
const name = (options: Parameters<typeof deviceOf>[0], n: number) => pick(deviceOf(options), n).name;

describe("a variant is the first that can run and wins", () => {
  test.each([
    [102, "even"],
    [101, "large"],
    [12, "large"],
    [8, "base"],
  ])("%i: %s", (n, expected) => expect(name({}, n)).toBe(expected));

  test("unless it is forced: any that can run, the usual one of the others' problems", () => {
    const kernels = `${FAMILY}:even`;
    expect(name({ kernels }, 8)).toBe("even");
    expect(name({ kernels }, 12)).toBe("even");
    expect(name({ kernels }, 13)).toBe("large");
    expect(name({ kernels: "base" }, 102)).toBe("base");
  });
});

describe("a tuning table", () => {
  const table = { [`${FAMILY} n12`]: "base", [`${FAMILY} n8`]: "even" };

  test("goes before the rules, for its problems alone", () => {
    expect([12, 8, 14, 102].map((n) => name({ table }, n))).toEqual(["base", "even", "large", "even"]);
  });
  test("goes behind forced kernels", () => {
    expect(name({ table, kernels: `${FAMILY}:large` }, 12)).toBe("large");
    expect(name({ table, kernels: "base" }, 8)).toBe("base");
    expect(name({ table, kernels: "softmax:base" }, 8)).toBe("even");
  });
  test("that names a variant which cannot run is an error, never replaced", () => {
    expect(() => name({ table: { [`${FAMILY} n7`]: "even" } }, 7)).toThrow(
      `a.json: ${FAMILY} n7: even cannot run this on an adapter; expected one of large, base`,
    );
  });
  test("that names what there is not is an error at the first choice, of any problem", () => {
    const odd = { table: { [`${FAMILY} n7`]: "odd" } };
    expect(() => name(odd, 9)).toThrow(
      `a.json: ${FAMILY} n7: no variant odd; expected one of even, large, base`,
    );
    expect(() => checkChoices(deviceOf(odd))).toThrow("no variant odd");
    expect(() => checkChoices(deviceOf({ table: { "conv4d n7": "base" } }))).toThrow(
      /^a\.json: conv4d n7: no such family; expected .*conv2d/,
    );
    expect(() => checkChoices(deviceOf({ kernels: "conv2d:fast" }))).toThrow(/"conv2d:fast" is no variant/);
  });
});

test("who asks is told of each choice and of what could run", () => {
  const told: [string, string, string[]][] = [];
  const device = deviceOf({ picked: (...[p, v, able]) => void told.push([p, v, able()]) });
  pick(device, 9);
  pick(device, 102);
  expect(told).toEqual([
    [`${FAMILY} n9`, "base", ["large", "base"]],
    [`${FAMILY} n102`, "even", ["even", "large", "base"]],
  ]);
});

describe("problems of the ops", () => {
  const met = new Map<string, { variant: string; able: string[] }>();
  const table = new Map<string, string>();
  let engine: Engine;
  beforeAll(async () => {
    const device = await openDevice(await testAdapter(), {
      tuning: { source: "a.json", variants: table },
      picked: (problem, variant, able) => void met.set(problem, { variant, able: able() }),
    });
    engine = new Engine(device);
    return () => device.destroy();
  });
  const input = (...shape: number[]): Tensor => {
    const size = shape.reduce((a, b) => a * b, 1);
    return engine.tensor(
      Float32Array.from({ length: size }, (_, i) => Math.sin(i)),
      shape,
    );
  };
  const training = (...shape: number[]): Tensor => {
    const t = input(...shape);
    t.requiresGrad = true;
    return t;
  };
  const namesOf = (run: () => unknown): string[] => {
    met.clear();
    engine.scope(() => void run());
    return [...met.keys()];
  };

  // Tables hold these names: a changed one takes its entries out of use.
  test("have the names that tables are written with", () => {
    expect(
      namesOf(() => conv2d(input(3, 5, 8, 6), input(7, 5, 3, 3), null, { stride: 2, padding: 1 })),
    ).toEqual(["conv2d forward 3x3 s2 p1x1 5>7 8x6 n4"]);
    expect(namesOf(() => conv2d(input(1, 4, 8, 8), input(4, 4, 1, 1).markConstant(), null))).toEqual([
      "conv2d forward 1x1 s1 p0x0 4>4 8x8 n1 constant",
    ]);
    const gradients = (y: Tensor, wanted: Tensor[]) => engine.gradients(y, wanted, input(...y.shape));
    expect(
      namesOf(() => {
        const [x, w, b] = [training(1, 4, 8, 8), training(4, 4, 1, 1), training(4)];
        gradients(conv2d(x, w, b), [x, w, b]);
      }),
    ).toEqual([
      "conv2d forward 1x1 s1 p0x0 4>4 8x8 n1",
      "conv2d input 1x1 s1 p0x0 4>4 8x8 n1",
      "conv2d weights 1x1 s1 p0x0 4>4 8x8 n1",
      "conv2d bias 4x64 n1",
    ]);
    expect(namesOf(() => matmul(input(2, 3, 8), input(2, 8, 5)))).toEqual(["matmul 3x5x8 n2 s1"]);
    expect(namesOf(() => linear(input(3, 8), input(5, 8), null))).toEqual(["matmul 3x5x8 bt n1 s1"]);
    expect(
      namesOf(() => {
        const x = training(2, 8, 4, 4);
        gradients(groupNorm(x, input(8), input(8), null, { groups: 2, silu: true }), [x]);
      }),
    ).toEqual(["group-norm forward 8/2 of 16 n2", "group-norm backward 8/2 of 16 n2"]);
    expect(namesOf(() => attention(input(1, 24, 16), { heads: 2, order: "new" }))).toEqual([
      "attention t16 d4 n2",
    ]);
    expect(namesOf(() => softmax(input(3, 8)))).toEqual(["softmax forward 8 s1 n4"]);
    expect(namesOf(() => sum(input(3, 8), { axes: [1] }))).toEqual(["reduce 3x8x1"]);
    expect(namesOf(() => silu(input(400)))).toEqual(["elementwise n128"]);
    const [params, grads, m, v] = [input(8), input(8), input(8), input(8)];
    expect(
      namesOf(() =>
        adamStep(engine, { params, grads, m, v }, { step: 1, lr: 0.1, beta1: 0.9, beta2: 0.999, eps: 1e-8 }),
      ),
    ).toEqual(["adam"]);
  });

  test("each variant that can run gives the same numbers when a table names it", async () => {
    const run = async () => {
      const out = engine.scope(() => conv2d(input(2, 5, 9, 9), input(6, 5, 3, 3), null, { padding: 1 }));
      const values = await out.read();
      out.dispose();
      return values;
    };
    const expected = await run();
    const problem = "conv2d forward 3x3 s1 p1x1 5>6 9x9 n2";
    const able = met.get(problem)?.able ?? [];
    expect(able.at(-1)).toBe("base");
    for (const variant of able) {
      table.set(problem, variant);
      const values = await run();
      expect(met.get(problem)?.variant).toBe(variant);
      values.forEach((value, i) => expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThan(1e-4));
    }
    table.clear();
  });

  test("of another shape than a variant serves refuse it", () => {
    table.set("conv2d forward 1x1 s1 p0x0 4>4 8x8 n1", "winograd");
    const run = () => engine.scope(() => conv2d(input(1, 4, 8, 8), input(4, 4, 1, 1), null));
    expect(run).toThrow(
      /^a\.json: conv2d forward 1x1 .*: winograd cannot run this on .*expected one of .*base$/,
    );
    table.clear();
  });
});

test("every family of the ops has variants to choose from", () => {
  for (const [family, names] of listVariants()) expect(names.size, family).toBeGreaterThan(1);
});
