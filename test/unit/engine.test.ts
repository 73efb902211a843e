import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { Pool } from "../../src/gpu/pool.ts";
import { compile, defined } from "../../src/kernels/kernel.ts";
import {
  adamStep,
  add,
  affine,
  DeviceError,
  DisposedError,
  Engine,
  GradientError,
  KernelError,
  linear,
  mean,
  mul,
  openDevice,
  reshape,
  ShapeError,
  silu,
  square,
  sub,
  sum,
  type Tensor,
} from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { testAdapter } from "../helpers/gpu.ts";

let engine: Engine;
let before = 0;
const live = (): number => engine.device.pool.stats.live - before;
const ones = (n: number, value = 1): Tensor => engine.tensor(new Float32Array(n).fill(value));
const values = async (t: Tensor | null | undefined): Promise<number[]> => [...(await (t as Tensor).read())];

beforeAll(async () => {
  engine = await testEngine();
});

beforeEach(() => {
  before = engine.device.pool.stats.live;
});

afterEach(() => {
  expect(live(), "every test gives back what it took").toBe(0);
});

describe("scope", () => {
  it("frees what it made and hands on what it returns", async () => {
    let inner: Tensor | undefined;
    const { a, list, map } = engine.scope(() => {
      inner = ones(64);
      const kept = add(inner, inner);
      return { a: kept, list: [ones(64, 3), [ones(64, 4)]] as const, map: new Map([["m", ones(64, 5)]]) };
    });
    expect(inner?.disposed).toBe(true);
    expect(live()).toBe(4 * 256);
    const back = [a, list[0], list[1][0], map.get("m")];
    expect(await Promise.all(back.map(async (t) => (await values(t))[63]))).toEqual([2, 3, 4, 5]);
    for (const t of back) t?.dispose();
  });

  it("moves results to the scope around it, which frees them", () => {
    let passed: Tensor | undefined;
    const top = engine.scope(() => {
      passed = engine.scope(() => engine.scope(() => ones(8)));
      expect(passed?.disposed).toBe(false);
      return engine.scope(() => ones(8));
    });
    expect(passed?.disposed).toBe(true);
    expect(top.disposed).toBe(false);
    top.dispose();
  });

  it("keeps what is kept, from any depth", async () => {
    const kept: Tensor[] = [];
    engine.scope(() => engine.scope(() => void kept.push(ones(4, 7).keep())));
    expect(await values(kept[0])).toEqual([7, 7, 7, 7]);
    kept[0]?.dispose();
    kept[0]?.dispose();
  });

  it("frees everything when its function throws or returns a promise", () => {
    expect(() =>
      engine.scope(() => {
        ones(1000);
        throw new RangeError("mine");
      }),
    ).toThrow("mine");
    expect(live()).toBe(0);
    expect(() => engine.scope(() => Promise.resolve(ones(1000)))).toThrow(DisposedError);
    expect(() => engine.scope(() => Promise.resolve(ones(1000)))).toThrow(
      /^scope: .*promise.*outside the scope$/,
    );
  });

  it("shares memory between a tensor and its other shapes until the last goes", async () => {
    const flat = engine.scope(() => reshape(engine.tensor([1, 2, 3, 4], [2, 2]), [4]));
    expect(flat.shape).toEqual([4]);
    expect(await values(flat)).toEqual([1, 2, 3, 4]);
    flat.dispose();
  });
});

describe("a freed tensor", () => {
  it("says what made it, what freed it and what to do", () => {
    let lost: Tensor | undefined;
    engine.scope(() => {
      lost = silu(ones(6));
    });
    expect(() => silu(lost as Tensor)).toThrow(DisposedError);
    expect(() => lost?.buffer).toThrow(
      "silu [6]: used after its scope closed; return it from the scope or keep() it",
    );
    const own = ones(2);
    own.dispose();
    expect(() => add(own, own)).toThrow(
      "tensor [2]: used after dispose(); return it from the scope or keep() it",
    );
  });
});

describe("gradients", () => {
  const gradientOf = (make: (x: Tensor) => Tensor, data: number[]): Promise<number[]> => {
    const g = engine.scope(() => {
      const x = engine.tensor(data);
      x.requiresGrad = true;
      return engine.gradients(sum(make(x)), [x]);
    });
    return values(g[0]).finally(() => g[0]?.dispose());
  };

  it("add up where a value is used several times", async () => {
    expect(await gradientOf((x) => add(mul(x, x), add(x, x)), [3, -1])).toEqual([8, 0]);
    expect(await gradientOf((x) => add(x, reshape(mul(x, x), [2])), [3, -1])).toEqual([7, -1]);
    const deep = (x: Tensor): Tensor => [1, 2, 3, 4].reduce((y) => add(y, y), x);
    expect(await gradientOf(deep, [1, 2])).toEqual([16, 16]);
  });

  it("are null where nothing depends, and refused where nothing was recorded", () => {
    engine.scope(() => {
      const [x, other] = [ones(3), ones(3)];
      [x.requiresGrad, other.requiresGrad] = [true, true];
      expect(engine.gradients(sum(mul(x, x)), [x, other])[1]).toBeNull();
      expect(() => engine.gradients(sum(ones(3)), [x])).toThrow(GradientError);
      expect(() => engine.gradients(mul(x, x), [x])).toThrow(/give a seed of its shape/);
    });
  });

  it("do not pass through noGrad", async () => {
    expect(
      await gradientOf(
        (x) =>
          add(
            x,
            engine.noGrad(() => mul(x, x)),
          ),
        [3, 5],
      ),
    ).toEqual([1, 1]);
    engine.scope(() => {
      const x = ones(3);
      x.requiresGrad = true;
      const y = engine.noGrad(() => silu(x));
      expect([y.requiresGrad, engine.recording]).toEqual([false, true]);
      expect(() => engine.noGrad(() => silu(engine.tensor(new Uint32Array(3))))).toThrow();
      expect(engine.recording).toBe(true);
    });
  });

  it("are computed only for what asks for them", async () => {
    const run = (trained: boolean): { dispatches: number; grads: (Tensor | null)[] } =>
      engine.scope(() => {
        const [x, w] = [engine.tensor([1, 2], [1, 2]), engine.tensor([3, 4, 5, 6], [2, 2])];
        x.requiresGrad = true;
        w.requiresGrad = trained;
        const y = sum(linear(x, w, null));
        const { counters } = engine.device.queue;
        const start = counters.dispatches;
        const grads = engine.gradients(y, [x, w]);
        return { dispatches: counters.dispatches - start, grads };
      });
    const [frozen, trained] = [run(false), run(true)];
    expect(frozen.dispatches).toBeLessThan(trained.dispatches);
    expect(frozen.grads[1]).toBeNull();
    expect(await values(frozen.grads[0])).toEqual([8, 10]);
    expect(await values(trained.grads[1])).toEqual([1, 2, 1, 2]);
    for (const g of [...frozen.grads, ...trained.grads]) g?.dispose();
  });
});

describe("the tape", () => {
  it("pins what gradients need, and lets go as the rules run", () => {
    engine.scope(() => {
      const x = ones(256);
      x.requiresGrad = true;
      const y = engine.scope(() => Array.from({ length: 10 }).reduce<Tensor>((v) => silu(v), x));
      const held = live();
      expect(held, "inputs of ten rules").toBeGreaterThanOrEqual(10 * 1024);
      const [g] = engine.gradients(sum(y), [x]);
      expect(y.node).toBeUndefined();
      expect(live(), "x, y, the sum and the gradient").toBe(3 * 1024 + 256);
      expect(g?.shape).toEqual([256]);
      expect(() => engine.gradients(y, [x], ones(256))).toThrow(/nothing was recorded/);
    });
  });

  it("goes with the outermost scope when no gradient was asked for", () => {
    engine.scope(() => {
      const x = ones(256);
      x.requiresGrad = true;
      engine.scope(() => silu(silu(x)));
    });
    expect(live()).toBe(0);
  });

  it("stands aside for one of its own, as recomputation needs", async () => {
    const [g] = engine.scope(() => {
      const x = engine.tensor([2, 3]);
      x.requiresGrad = true;
      const y = mul(x, x);
      const [own] = engine.withTape(() => engine.gradients(sum(mul(x, mul(x, x))), [x]));
      return engine.gradients(sum(mul(y, own as Tensor)), [x]);
    });
    expect(await values(g), "d(x²·c)/dx with c = 3x²").toEqual([2 * 2 * 12, 2 * 3 * 27]);
    g?.dispose();
  });
});

describe("memory", () => {
  it("is flat over 50 training steps, which learn", async () => {
    const flat = (n: number): Tensor => engine.tensor(new Float32Array(n)).keep();
    const [w, grads, m, v, ema] = [flat(64), flat(64), flat(64), flat(64), flat(64)];
    const target = engine.tensor(Float32Array.from({ length: 64 }, (_, i) => Math.sin(i))).keep();
    const levels: number[] = [];
    const losses: number[] = [];
    for (let step = 1; step <= 50; step++) {
      const loss = engine.scope(() => {
        const leaf = w.alias([8, 8]);
        leaf.requiresGrad = true;
        const out = mean(square(sub(leaf, reshape(target, [8, 8]))));
        const [g] = engine.gradients(out, [leaf]);
        grads.copyFrom(g as Tensor);
        adamStep(
          engine,
          { params: w, grads, m, v, ema },
          {
            ...{ step, lr: 0.05, beta1: 0.9, beta2: 0.999, eps: 1e-8, emaDecay: 0.9 },
          },
        );
        return out;
      });
      losses.push((await values(loss))[0] as number);
      loss.dispose();
      levels.push(live());
    }
    expect(new Set(levels)).toEqual(new Set([6 * 256]));
    expect(losses[49]).toBeLessThan(0.1 * (losses[0] as number));
    for (const t of [w, grads, m, v, ema, target]) t.dispose();
  });

  it("reports its peak, counted by size class, and keeps freed buffers for reuse", () => {
    const { pool } = engine.device;
    pool.resetPeak();
    const [start, pooled] = [pool.stats.live, pool.stats.pooled];
    engine.scope(() => {
      ones(1000).dispose();
      ones(300);
      ones(300);
    });
    expect(pool.stats.peak - start).toBe(4096);
    expect(pool.stats.live).toBe(start);
    expect(pool.stats.pooled).toBeGreaterThanOrEqual(pooled);
    pool.resetPeak();
    expect(pool.stats.peak).toBe(start);
  });

  it("is refused above the adapter's limit, by the tensor's name and the limit", () => {
    const { maxStorageBufferBindingSize, maxBufferSize } = engine.device.gpu.limits;
    const limit = Math.min(maxStorageBufferBindingSize, maxBufferSize);
    const make = (): Tensor => engine.empty([limit / 4 + 1], "f32", "conv2d columns");
    expect(make).toThrow(DeviceError);
    expect(make).toThrow(
      new RegExp(`^conv2d columns: needs ${limit + 4} bytes .* binds ${limit} at most; use a smaller batch`),
    );
  });
});

describe("a pool", () => {
  it("hands out no more than can be bound where that is below the size class", () => {
    const limit = 2 ** 31 - 4;
    const limits = { maxBufferSize: limit, maxStorageBufferBindingSize: limit };
    const gpu = { limits, createBuffer: ({ size }: { size: number }) => ({ size }) };
    const pool = new Pool(gpu as unknown as GPUDevice, 0);
    expect(pool.acquire(1.5e9, "x").size).toBe(1.5 * 2 ** 30);
    expect(pool.acquire(1.9e9, "x").size).toBe(limit);
    expect(pool.acquire(limit, "x").size).toBe(limit);
    expect(() => pool.acquire(limit + 1, "x")).toThrow(`binds ${limit} at most`);
  });
});

describe("the queue", () => {
  it("runs uploads in their place among recorded work", async () => {
    const [old, changed] = engine.scope(() => {
      const x = engine.tensor([1, 2]);
      const a = affine(x, 10, 0);
      x.write(Float32Array.of(3, 4));
      return [a, affine(x, 10, 0)] as const;
    });
    expect(await values(old)).toEqual([10, 20]);
    expect(await values(changed)).toEqual([30, 40]);
    old.dispose();
    changed.dispose();
  });

  it("gives every dispatch its own parameters, over many submits", async () => {
    const results = engine.scope(() => {
      const x = ones(4);
      return Array.from({ length: 200 }, (_, i) => affine(x, 1, i));
    });
    for (const i of [0, 1, 62, 63, 64, 65, 127, 128, 199])
      expect((await values(results[i]))[3], `dispatch ${i}`).toBe(1 + i);
    for (const t of results) t.dispose();
  });

  it("hands recycled memory out only after its last reader", async () => {
    const results = engine.scope(() =>
      Array.from({ length: 20 }, (_, i) => engine.scope(() => affine(engine.tensor([i, i + 1]), 2, 0))),
    );
    for (const [i, t] of results.entries()) expect(await values(t)).toEqual([2 * i, 2 * i + 2]);
    for (const t of results) t.dispose();
  });
});

describe("reading and writing", () => {
  it("check type, size and shape", async () => {
    const x = engine.tensor(Uint32Array.of(1, 2, 3));
    expect([...(await x.readU32())]).toEqual([1, 2, 3]);
    await expect(async () => x.read()).rejects.toThrow("read: tensor is u32, not f32");
    expect(() => x.write(new Uint32Array(4))).toThrow("write: 4 values into [3]");
    expect(() => x.alias([2])).toThrow(ShapeError);
    expect(() => x.dim(1)).toThrow("tensor: no axis 1 in shape [3]");
    expect(() => engine.tensor([1, 2, 3], [2])).toThrow(ShapeError);
    expect(live(), "with x alone").toBe(256);
    x.dispose();
  });
});

describe("an error of the device", () => {
  const fresh = async (): Promise<Engine> => new Engine(await openDevice(await testAdapter()));

  it("fails the next read, and every later one", async () => {
    const own = await fresh();
    const x = own.tensor([1]);
    expect(await values(x)).toEqual([1]);
    own.device.queue.copy(x.buffer, 0, x.buffer, 0, 2 ** 20);
    const failed = x.read();
    await expect(failed).rejects.toThrow(DeviceError);
    await expect(x.read()).rejects.toThrow(DeviceError);
    await expect(own.device.queue.idle()).rejects.toThrow(DeviceError);
    own.device.destroy();
  });

  it("in a shader names the kernel, its constants and the line of its file", async () => {
    const own = await fresh();
    const { shader, entry } = defined.find((d) => d.shader.name === "unary") as (typeof defined)[number];
    const wrong = {
      ...shader,
      source: shader.source.replace(/^fn /m, "fn broken() -> u32 { return 1.5; }\nfn "),
    };
    compile(own.device, wrong, entry, { OP: 2 });
    await expect.poll(() => own.device.queue.failure).toBeInstanceOf(KernelError);
    await expect(own.tensor([1]).read()).rejects.toThrow(
      /^unary\/forward \{"OP":2\}: .* at shaders\/[\w/.-]+\.wgsl:\d+: fn broken/,
    );
    own.device.destroy();
  });
});
