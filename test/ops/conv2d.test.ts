import { describe, expect, test } from "vitest";
import {
  Engine,
  ShapeError,
  conv1d,
  conv2d,
  conv2dWeightGradient,
  convTranspose2d,
  openDevice,
  type Tensor,
} from "../../src/tensor/index.ts";
import { checkOp, randomArray, relativeError } from "../helpers/check-op.ts";
import { testEngine } from "../helpers/engine.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { convolve, convolveTransposed, weightGradient, type Conv } from "../reference/convolution.ts";

const check = (k: Conv, bias: boolean, height1 = false, residual = false): Promise<void> => {
  const { n, c, h, w, o, kh, kw, stride, padding } = k;
  const oh = Math.floor((h + 2 * (height1 ? 0 : padding) - kh) / stride) + 1;
  const ow = Math.floor((w + 2 * padding - kw) / stride) + 1;
  const out = height1 ? [n, o, ow] : [n, o, oh, ow];
  const run = height1 ? conv1d : conv2d;
  return checkOp({
    name: JSON.stringify(k),
    shapes: [
      ...(height1
        ? [
            [n, c, w],
            [o, c, kw],
          ]
        : [
            [n, c, h, w],
            [o, c, kh, kw],
          ]),
      bias ? [o] : null,
      residual ? out : null,
    ],
    out,
    run: (x, wt, b, r) =>
      run(x, wt, bias ? (b as Tensor) : null, { stride, padding, residual: residual ? (r as Tensor) : null }),
    // Gets what there is.
    reference: (x, wt, ...rest) => {
      const y = convolve(x, wt, bias ? rest[0] : undefined, k, height1 ? 0 : padding);
      return residual ? y.map((v, i) => v + (rest.at(-1)?.[i] as number)) : y;
    },
    tolerance: 4e-6,
  });
};

describe("conv2d", () => {
  const cases: [string, Conv, boolean][] = [
    ["3x3", { n: 3, c: 5, h: 9, w: 7, o: 6, kh: 3, kw: 3, stride: 1, padding: 1 }, true],
    [
      "3x3, sides of 4, channels of 8",
      { n: 2, c: 8, h: 8, w: 12, o: 16, kh: 3, kw: 3, stride: 1, padding: 1 },
      true,
    ],
    ["3x3 from 3 channels", { n: 2, c: 3, h: 8, w: 8, o: 33, kh: 3, kw: 3, stride: 1, padding: 1 }, true],
    ["3x3 to 3 channels", { n: 2, c: 20, h: 5, w: 6, o: 3, kh: 3, kw: 3, stride: 1, padding: 1 }, false],
    ["3x3 on one pixel", { n: 3, c: 4, h: 1, w: 1, o: 5, kh: 3, kw: 3, stride: 1, padding: 1 }, true],
    ["3x3 without padding", { n: 2, c: 3, h: 6, w: 5, o: 4, kh: 3, kw: 3, stride: 1, padding: 0 }, true],
    ["3x3 stride 2, even", { n: 3, c: 6, h: 8, w: 8, o: 9, kh: 3, kw: 3, stride: 2, padding: 1 }, true],
    ["3x3 stride 2, odd", { n: 2, c: 5, h: 7, w: 9, o: 8, kh: 3, kw: 3, stride: 2, padding: 1 }, false],
    ["1x1", { n: 3, c: 9, h: 5, w: 7, o: 6, kh: 1, kw: 1, stride: 1, padding: 0 }, true],
    ["1x1, all divisible", { n: 2, c: 16, h: 8, w: 8, o: 32, kh: 1, kw: 1, stride: 1, padding: 0 }, true],
    ["1x1 stride 2", { n: 2, c: 3, h: 5, w: 6, o: 4, kh: 1, kw: 1, stride: 2, padding: 0 }, true],
    ["4x4 stride 2", { n: 2, c: 3, h: 8, w: 10, o: 5, kh: 4, kw: 4, stride: 2, padding: 1 }, true],
    ["7x7", { n: 1, c: 2, h: 9, w: 8, o: 3, kh: 7, kw: 7, stride: 1, padding: 3 }, true],
    ["2x3 stride 3, padding 2", { n: 2, c: 3, h: 6, w: 7, o: 2, kh: 2, kw: 3, stride: 3, padding: 2 }, true],
    ["1x1 over 70 channels", { n: 1, c: 70, h: 3, w: 3, o: 67, kh: 1, kw: 1, stride: 1, padding: 0 }, true],
  ];
  for (const [name, k, bias] of cases) {
    test(name, () => check(k, bias));
    test(`${name}, plus a residual`, () => check(k, bias, false, true));
  }

  test("conv1d", () =>
    check({ n: 3, c: 5, h: 1, w: 11, o: 4, kh: 1, kw: 3, stride: 2, padding: 1 }, true, true, true));
  test("conv1d of one tap", () =>
    check({ n: 2, c: 8, h: 1, w: 16, o: 24, kh: 1, kw: 1, stride: 1, padding: 0 }, true, true));

  // Of few tiles and constant weights the products are turned round.
  test.each([
    { n: 1, c: 8, h: 4, w: 4, o: 12 },
    { n: 2, c: 12, h: 5, w: 7, o: 68 },
    { n: 1, c: 64, h: 8, w: 8, o: 33 },
  ])("3x3 with constant weights, [$n,$c,$h,$w] to $o", async (sizes) => {
    const engine = await testEngine();
    const k: Conv = { ...sizes, kh: 3, kw: 3, stride: 1, padding: 1 };
    const { n, c, h, w, o } = k;
    const host = [randomArray(n * c * h * w, 1), randomArray(o * c * 9, 2), randomArray(n * o * h * w, 3)];
    const [x64, w64, y64] = host.map((v) => Float64Array.from(v)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    const weights = engine.tensor(host[1] ?? [], [o, c, 3, 3]).markConstant();
    const x = engine.tensor(host[0] ?? [], [n, c, h, w]);
    const y = engine.tensor(host[2] ?? [], [n, o, h, w]);
    // The second time with what the first has kept.
    for (let time = 0; time < 2; time++) {
      const forward = engine.scope(() => conv2d(x, weights, null, { padding: 1 }));
      expect(relativeError(await forward.read(), convolve(x64, w64, undefined, k))).toBeLessThan(4e-6);
      const back = engine.scope(() => convTranspose2d(y, weights, null, { padding: 1 }));
      const want = convolveTransposed(y64, w64, undefined, k);
      expect(relativeError(await back.read(), want)).toBeLessThan(4e-6);
      forward.dispose();
      back.dispose();
    }
    for (const t of [x, y, weights]) t.dispose();
  });

  // So many channels that one image goes in bands, of tiles few enough to be the rows; long sums lose digits.
  test("3x3 in bands with constant weights and bias", async () => {
    const engine = await testEngine();
    const k: Conv = { n: 1, c: 2048, h: 20, w: 16, o: 64, kh: 3, kw: 3, stride: 1, padding: 1 };
    const [x, w, b] = [randomArray(k.c * k.h * k.w, 1), randomArray(k.o * k.c * 9, 2), randomArray(k.o, 3)];
    const weights = engine.tensor(w, [k.o, k.c, 3, 3]).markConstant();
    const y = engine.scope(() => {
      const [image, bias] = [engine.tensor(x, [1, k.c, k.h, k.w]), engine.tensor(b, [k.o])];
      return conv2d(image, weights, bias, { padding: 1 });
    });
    const [x64, w64, b64] = [x, w, b].map((v) => Float64Array.from(v)) as [
      Float64Array,
      Float64Array,
      Float64Array,
    ];
    expect(relativeError(await y.read(), convolve(x64, w64, b64, k))).toBeLessThan(1e-5);
    for (const t of [y, weights]) t.dispose();
  });

  /** y and both gradients of one convolution against the definition. */
  const compare = async (engine: Engine, name: string, k: Conv): Promise<void> => {
    const { n, c, h, w, o, kh, kw, stride, padding } = k;
    const [x, wt] = [randomArray(n * c * h * w, 1), randomArray(o * c * kh * kw, 2)];
    const [x64, wt64] = [Float64Array.from(x), Float64Array.from(wt)];
    const plain = convolve(x64, wt64, undefined, k);
    const [dy, added] = [randomArray(plain.length, 3), randomArray(plain.length, 4)];
    const want = plain.map((v, i) => v + (added[i] as number));
    const { y, grads } = engine.scope(() => {
      const [tx, tw] = [engine.tensor(x, [n, c, h, w]), engine.tensor(wt, [o, c, kh, kw])];
      const [oh, ow] = [h, w].map((v, i) => Math.floor((v + 2 * padding - (i ? kw : kh)) / stride) + 1);
      const residual = engine.tensor(added, [n, o, oh as number, ow as number]);
      tx.requiresGrad = tw.requiresGrad = true;
      const y = conv2d(tx, tw, null, { stride, padding, residual });
      return { y, grads: engine.gradients(y, [tx, tw], engine.tensor(dy, y.shape)) };
    });
    const got = await Promise.all([y, ...grads].map((t) => t?.read()));
    const dy64 = Float64Array.from(dy);
    const wants = [want, convolveTransposed(dy64, wt64, undefined, k), weightGradient(x64, dy64, k)];
    for (const [i, v] of wants.entries())
      expect(relativeError(got[i] ?? [], v), `${name}, ${["y", "dx", "dw"][i]}`).toBeLessThan(3e-6);
    for (const t of [y, ...grads]) t?.dispose();
  };

  for (const kernels of ["base", "conv2d:product", "conv2d:winograd", "product:wide", "product:base"])
    test(`kernels ${kernels}`, async () => {
      const engine = new Engine(await openDevice(await testAdapter(), { kernels }));
      for (const [name, k] of cases) await compare(engine, name, k);
      engine.device.destroy();
    });

  test("kernels base, tiles of 128 rows and sums cut into slices", async () => {
    const engine = new Engine(await openDevice(await testAdapter(), { kernels: "base" }));
    const one = { stride: 1, padding: 0, kh: 1, kw: 1 };
    const three = { stride: 1, padding: 1, kh: 3, kw: 3 };
    // 256 tiles of 128 rows at least, or they have 64.
    await compare(engine, "1x1, 128 rows", { n: 2, c: 5, h: 128, w: 65, o: 128, ...one });
    await compare(engine, "1x1, 128 rows of the gradient", { n: 2, c: 128, h: 128, w: 65, o: 5, ...one });
    await compare(engine, "3x3, 128 rows of weights", { n: 1, c: 1824, h: 3, w: 2, o: 128, ...three });
    await compare(engine, "3x3 in slices", { n: 1, c: 61, h: 6, w: 5, o: 67, ...three });
    // One channel, and three: sixteen taps a slice of K, and four.
    const many = { kh: 33, kw: 17, stride: 1, padding: 9 };
    await compare(engine, "33x17 of one channel in slices", { n: 1, c: 1, h: 40, w: 36, o: 1, ...many });
    await compare(engine, "7x7 of three channels", { n: 2, c: 3, h: 9, w: 11, o: 4, ...many, kh: 7, kw: 7 });
    await compare(engine, "1x1 as they lie", { n: 2, c: 12, h: 5, w: 3, o: 32, ...one });
    await compare(engine, "3x3 in slices, stride 2", { n: 2, c: 70, h: 9, w: 7, o: 80, ...three, stride: 2 });
    const compiled = [...engine.device.cache.keys()];
    for (const form of [
      /maps.* GRAD=0 TM=128/,
      /maps.* GRAD=1 TM=128/,
      /weightGradient.* TM=128/,
      /slices\/main/,
    ])
      expect(
        compiled.some((key) => form.test(key)),
        String(form),
      ).toBe(true);
    engine.device.destroy();
  });

  // More than a workspace takes at once: many small images, or images that go in bands, also across two of them.
  test("batches and images in parts", async () => {
    const engine = await testEngine();
    const one = { stride: 1, padding: 1, kh: 3, kw: 3 };
    await compare(engine, "3x3", { n: 2100, c: 1, h: 6, w: 8, o: 1, ...one });
    await compare(engine, "3x3, ragged", { n: 600, c: 2, h: 7, w: 7, o: 3, ...one });
    await compare(engine, "3x3, bands", { n: 1, c: 40, h: 165, w: 160, o: 2, ...one });
    await compare(engine, "3x3, ragged bands", { n: 3, c: 2, h: 121, w: 119, o: 30, ...one });
    await compare(engine, "3x3 stride 2", { n: 57, c: 4, h: 64, w: 64, o: 1, ...one, stride: 2 });
    const four = { kh: 4, kw: 4, stride: 1, padding: 0 };
    await compare(engine, "4x4 without padding", { n: 11, c: 3, h: 67, w: 66, o: 1, ...four });
  });

  test("1x1 of more pixels than one grid holds", async () => {
    const engine = await testEngine();
    // 65535 groups of 8 lanes of four pixels, and some.
    const n = 4 * 8 * 65535 + 4 * 40;
    const x = Float32Array.from({ length: n }, (_, i) => (i % 1009) - 500);
    const y = engine.scope(() => {
      const [image, weights] = [engine.tensor(x, [2, 1, 1, n / 2]), engine.tensor([3], [1, 1, 1, 1])];
      return conv2d(image, weights, engine.tensor([0.5], [1]));
    });
    const values = await y.read();
    expect(values.findIndex((v, i) => v !== 3 * (x[i] as number) + 0.5)).toBe(-1);
    y.dispose();
  });

  test("forms of constants are made for the forward pass alone, and go when any handle writes", async () => {
    const engine = await testEngine();
    const k: Conv = { n: 1, c: 4, h: 8, w: 8, o: 4, kh: 3, kw: 3, stride: 1, padding: 1 };
    const [xs, dys] = [randomArray(256, 1), randomArray(256, 2)];
    const w = engine.tensor(randomArray(144, 3), [4, 4, 3, 3]).markConstant();
    const x = engine.tensor(xs, [1, 4, 8, 8]);
    x.requiresGrad = true;
    const check = async (): Promise<void> => {
      const [y, dx] = engine.scope(() => {
        const y = conv2d(x, w, null, { padding: 1 });
        return [y, engine.gradients(y, [x], engine.tensor(dys, [1, 4, 8, 8]))[0]] as const;
      });
      const [x64, dy64, w64] = [xs, dys, await w.read()].map((v) => Float64Array.from(v)) as [
        Float64Array,
        Float64Array,
        Float64Array,
      ];
      expect(relativeError(await y.read(), convolve(x64, w64, undefined, k))).toBeLessThan(4e-6);
      const want = convolveTransposed(dy64, w64, undefined, k);
      expect(relativeError((await dx?.read()) ?? [], want)).toBeLessThan(4e-6);
      for (const t of [y, dx]) t?.dispose();
    };
    await check();
    const { size } = w.derived as NonNullable<typeof w.derived>;
    expect(size).toBe(1);
    await check();
    expect(w.derived?.size).toBe(size);
    const other = w.alias();
    other.write(randomArray(144, 4));
    expect(w.derived?.size).toBe(0);
    await check();
    other.dispose();
    for (const t of [x, w]) t.dispose();
  });

  test("no weight gradient is computed or held for frozen weights", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.tensor(new Float32Array(32), [1, 2, 4, 4]);
      const w = engine.tensor(new Float32Array(4), [2, 2, 1, 1]);
      x.requiresGrad = true;
      const y = conv2d(x, w, null);
      expect(y.node?.saved[0]).toBeNull();
      const weightless = engine.device.queue.counters.dispatches;
      engine.gradients(y, [x], engine.tensor(new Float32Array(32), [1, 2, 4, 4]));
      const one = engine.device.queue.counters.dispatches - weightless;
      w.requiresGrad = true;
      const z = conv2d(x, w, null);
      const both = engine.device.queue.counters.dispatches;
      engine.gradients(z, [x, w], engine.tensor(new Float32Array(32), [1, 2, 4, 4]));
      expect(engine.device.queue.counters.dispatches - both).toBeGreaterThan(one);
    });
  });

  test("conv2dWeightGradient computes the weights' gradient and nothing else", async () => {
    const engine = await testEngine();
    const all = cases.filter(([, k]) => k.kh === 3);
    expect(all.length).toBeGreaterThan(5);
    for (const [name, k] of all) {
      const { n, c, h, w, o, kh, kw, stride, padding } = k;
      const [oh, ow] = [h, w].map((v) => Math.floor((v + 2 * padding - 3) / stride) + 1) as [number, number];
      const [x, dy] = [randomArray(n * c * h * w, 1), randomArray(n * o * oh * ow, 3)];
      const dw = engine.scope(() => {
        const [tx, tdy] = [engine.tensor(x, [n, c, h, w]), engine.tensor(dy, [n, o, oh, ow])];
        return conv2dWeightGradient(tx, tdy, [o, c, kh, kw], { stride, padding });
      });
      const want = weightGradient(Float64Array.from(x), Float64Array.from(dy), k);
      expect(dw.shape).toEqual([o, c, kh, kw]);
      expect(relativeError(await dw.read(), want), name).toBeLessThan(3e-6);
      dw.dispose();
    }
    engine.scope(() => {
      const [x, dy] = [
        engine.tensor(new Float32Array(32), [1, 2, 4, 4]),
        engine.tensor([1, 2, 3], [1, 3, 1, 1]),
      ];
      expect(() => conv2dWeightGradient(x, dy, [3, 2, 3, 3])).toThrow(
        /dy has shape \[1,3,1,1\]; expected \[1,3,2,2\]/,
      );
      expect(() => conv2dWeightGradient(x, dy, [3, 4, 3, 3])).toThrow(/expected \[o, 2, kh, kw\]/);
    });
  });

  test("wrong shapes and options are refused", async () => {
    const engine = await testEngine();
    engine.scope(() => {
      const x = engine.tensor(new Float32Array(32), [1, 2, 4, 4]);
      const w = engine.tensor(new Float32Array(27), [1, 3, 3, 3]);
      const v = engine.tensor(new Float32Array(18), [1, 2, 3, 3]);
      expect(() => conv2d(x, w, null)).toThrow(/x \[1,2,4,4\] has 2 channels, w \[1,3,3,3\] takes 3/);
      expect(() => conv2d(x, v, null, { stride: 0 })).toThrow(ShapeError);
      expect(() => conv2d(x, v, null, { padding: -1 })).toThrow(ShapeError);
      expect(() => conv2d(x, v, engine.tensor([1, 2], [2]))).toThrow(/b has shape \[2\]; expected \[1\]/);
      const large = engine.tensor(new Float32Array(98), [1, 2, 7, 7]);
      expect(() => conv2d(x, large, null)).toThrow(/leave no output/);
    });
  });
});
