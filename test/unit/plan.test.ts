import { afterEach, beforeAll, describe, expect, it } from "vitest";
import { shareMemory } from "../../src/gpu/liveness.ts";
import {
  affine,
  conv2d,
  Engine,
  expand,
  groupNorm,
  matmul,
  mean,
  mul,
  openDevice,
  Plan,
  randomNormal,
  silu,
  square,
  sub,
  type Tensor,
} from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";
import { testAdapter } from "../helpers/gpu.ts";

let engine: Engine;
beforeAll(async () => {
  engine = await testEngine();
});

const normal = (shape: number[], stream: number): Tensor =>
  randomNormal(engine, shape, { seed: 7, stream }).keep();

const made: Plan[] = [];
const planOf = (
  ...args: ConstructorParameters<typeof Plan> extends [unknown, ...infer R] ? R : never
): Plan => {
  const plan = new Plan(engine, ...args);
  made.push(plan);
  return plan;
};
afterEach(() => {
  for (const plan of made.splice(0)) plan.dispose();
});

describe("memory of a plan", () => {
  it("is shared by buffers whose intervals do not overlap, the largest first", () => {
    const intervals = [
      { size: 100, first: 0, last: 1 },
      { size: 300, first: 1, last: 2 },
      { size: 200, first: 2, last: 3 },
      { size: 50, first: 3, last: 9 },
      { size: 300, first: 3, last: 4 },
    ];
    const { sizes, shared } = shareMemory(intervals);
    expect(sizes).toEqual([300, 200, 50]);
    expect(shared).toEqual([1, 0, 1, 2, 0]);
  });

  it("never gives two buffers that live at once the same memory", () => {
    let state = 1;
    const next = (n: number): number => (state = (state * 48271) % 2147483647) % n;
    const intervals = Array.from({ length: 300 }, () => {
      const first = next(200);
      return { size: 256 * (1 + next(40)), first, last: first + next(30) };
    });
    const { sizes, shared } = shareMemory(intervals);
    intervals.forEach((a, i) => {
      expect(sizes[shared[i] as number]).toBeGreaterThanOrEqual(a.size);
      intervals.slice(0, i).forEach((b, j) => {
        if (a.first <= b.last && b.first <= a.last) expect(shared[i]).not.toBe(shared[j]);
      });
    });
    // No allocation does with less than what lives at the fullest moment.
    const needed = Array.from({ length: 240 }, (_, at) =>
      intervals.reduce((sum, v) => sum + (v.first <= at && at <= v.last ? v.size : 0), 0),
    );
    const total = sizes.reduce((a, b) => a + b);
    expect(total).toBeGreaterThanOrEqual(Math.max(...needed));
    expect(total).toBeLessThan(1.3 * Math.max(...needed));
  });
});

describe("plan", () => {
  it("gives what its function gives, to the bit, for new inputs and new shapes", async () => {
    const w = normal([8, 8, 3, 3], 1);
    const [gamma, beta] = [normal([8], 2), normal([8], 3)];
    const fn = (x: Tensor, y: Tensor): Tensor[] => {
      const h = groupNorm(conv2d(x, w, null, { padding: 1 }), gamma, beta, null, { groups: 4, silu: true });
      return [mul(h, y), mean(h, { axes: null })];
    };
    const plan = planOf(fn);
    for (const [n, side] of [
      [2, 6],
      [2, 6],
      [3, 5],
      [2, 6],
    ] as const) {
      const [x, y] = [normal([n, 8, side, side], 10 + n * side), normal([n, 8, side, side], 11 + n * side)];
      const [planned, plain] = [plan.run([x, y]), engine.scope(() => fn(x, y))];
      for (const [k, t] of planned.entries()) {
        expect(t.shape).toEqual(plain[k]?.shape);
        expect(await t.read()).toEqual(await plain[k]?.read());
      }
      for (const t of [x, y, ...planned, ...plain]) t.dispose();
    }
    for (const t of [w, gamma, beta]) t.dispose();
  });

  it("takes gradients inside and writes tensors from outside", async () => {
    const w = normal([5, 4], 1);
    w.requiresGrad = true;
    const into = engine.tensor(new Float32Array(20), [5, 4]).keep();
    const loss = (x: Tensor): Tensor => mean(square(silu(matmul(x, w))), { axes: null });
    const plan = planOf((x) => {
      const value = loss(x);
      into.copyFrom(engine.gradients(value, [w])[0] as Tensor);
      return [value];
    });
    const x = normal([3, 5], 2);
    for (const factor of [1, 2]) {
      w.write((await w.read()).map((v) => v * factor));
      const [value] = plan.run([x]);
      const direct = engine.scope(() => {
        const value = loss(x);
        return [value, engine.gradients(value, [w])[0] as Tensor];
      });
      expect(await value?.read()).toEqual(await direct[0]?.read());
      expect(await into.read()).toEqual(await direct[1]?.read());
      for (const t of [value, ...direct]) t?.dispose();
    }
  });

  it("keeps host data, forms of constants and inputs that are results", async () => {
    const w = normal([4, 4, 3, 3], 1).markConstant();
    const fn = (x: Tensor): Tensor[] => [
      sub(conv2d(x, w, null, { padding: 1 }), engine.tensor([1, 2, 3, 4], [1, 4, 1, 1])),
      x,
    ];
    const plan = planOf(fn);
    const x = normal([1, 4, 8, 8], 2);
    const check = async (): Promise<void> => {
      const [planned, plain] = [plan.run([x]), engine.scope(() => fn(x.alias()))];
      for (const [k, t] of planned.entries()) expect(await t.read()).toEqual(await plain[k]?.read());
      for (const t of [...planned, ...plain]) t.dispose();
    };
    await check();
    // Other weights in the same tensor.
    w.write((await w.read()).map((v) => v + 1));
    await check();
    await check();
  });

  it("records again where what it reads is another", async () => {
    const [a, b] = [normal([4, 4], 1), normal([4, 4], 2)];
    let weights = a;
    const plan = planOf((x) => [matmul(x, weights)], { reads: () => [weights] });
    const x = normal([2, 4], 3);
    const results: Float32Array[] = [];
    for (const w of [a, b, a]) {
      weights = w;
      const [t] = plan.run([x]);
      results.push((await t?.read()) as Float32Array);
    }
    expect(results[0]).toEqual(results[2]);
    expect(results[0]).not.toEqual(results[1]);
  });

  it("refuses random numbers, reads, gradients through it and tensors that outlive it", async () => {
    const x = normal([2, 2], 1);
    const run = (fn: (x: Tensor) => Tensor[]) => () => planOf(fn).run([x]);
    expect(run(() => [randomNormal(engine, [2, 2], { seed: 1, stream: 1 })])).toThrow(
      "random/normal_values: differs from call to call, a plan cannot replay it; run it outside of the plan",
    );
    let reading: Promise<unknown> = Promise.resolve();
    run((t) => {
      reading = affine(t, 2, 0).read();
      return [t];
    })();
    await expect(reading).rejects.toThrow("read: a plan is being recorded, nothing has run yet");
    expect(run((t) => [affine(t, 2, 0).keep(), t].slice(1))).toThrow(
      "plan: affine outlives the function that made it; return it, or make it before",
    );
    x.requiresGrad = true;
    expect(run((t) => [t])).toThrow("plan: gradients do not pass through a plan");
    // The engine works on.
    const y = engine.noGrad(() => affine(x, 2, 0));
    expect(await y.read()).toEqual((await x.read()).map((v) => 2 * v));
  });

  it("an error leaves nothing behind, and says which op was too large", async () => {
    const x = normal([4, 4], 1);
    const [pooled, live] = [engine.device.pool.stats.pooled, engine.device.pool.stats.live];
    const broken = planOf((t) => [matmul(t, engine.tensor(new Float32Array(6), [2, 3]))]);
    engine.scope(() => expect(() => broken.run([x])).toThrow("matmul"));
    const large = planOf((t) => [mean(expand(t, [2 ** 28, 4, 4]), { axes: [0] })]);
    engine.scope(() => expect(() => large.run([x])).toThrow(/^expand: needs \d+ bytes in one buffer/));
    const kept: Tensor[] = [];
    const outliving = planOf((t) => [affine(t, 1, (kept.push(affine(t, 2, 0).keep()), 0))]);
    expect(() => outliving.run([x])).toThrow("outlives");
    for (const t of kept) t.dispose();
    expect([engine.device.pool.stats.pooled, engine.device.pool.stats.live]).toEqual([pooled, live]);
    // Memory of those sizes is real memory.
    const own = Array.from({ length: 8 }, (_, k) => engine.tensor(new Float32Array(16).fill(k), [4, 4]));
    for (const [k, t] of own.entries()) {
      expect((await t.read())[0]).toBe(k);
      t.dispose();
    }
  });

  it("refuses a result that lives outside", () => {
    const [x, w] = [normal([2, 2], 1), normal([2, 2], 2)];
    const plan = planOf((t) => [affine(t, 2, 0), w]);
    expect(() => plan.run([x])).toThrow(
      "plan: fn returns randomNormal, which lives outside of it; return a copy",
    );
    expect(w.disposed).toBe(false);
  });

  it("notices that a tensor it reads was freed", () => {
    const [x, w] = [normal([2, 2], 1), normal([2, 2], 2)];
    const plan = planOf((t) => [matmul(t, w)]);
    plan.run([x]);
    w.dispose();
    expect(() => plan.run([x])).toThrow("used after dispose()");
  });

  it("keeps sixteen recordings; one that went is made again", async () => {
    const engine = new Engine(await openDevice(await testAdapter()));
    const { stats } = engine.device.pool;
    let made = 0;
    const plan = new Plan(engine, (t) => {
      made++;
      return [affine(t, 2, 0)];
    });
    const run = async (n: number): Promise<void> => {
      const x = engine.tensor(Float32Array.from({ length: n }, (_, i) => i));
      const [y] = plan.run([x]) as [Tensor];
      expect(await y.read()).toEqual(Float32Array.from({ length: n }, (_, i) => 2 * i));
      for (const t of [x, y]) t.dispose();
    };
    for (let n = 40; n > 24; n--) await run(n);
    const live = stats.live;
    for (let n = 24; n > 4; n--) await run(n);
    expect(stats.live).toBeLessThanOrEqual(live);
    await run(20);
    expect(made).toBe(36);
    await run(40);
    expect(made).toBe(37);
    engine.device.destroy();
  });

  it("shares its memory with other plans and gives it back", async () => {
    // Of a device that nothing else has used.
    const engine = new Engine(await openDevice(await testAdapter()));
    const { stats } = engine.device.pool;
    const x = engine.empty([64, 1024]);
    const fn = (t: Tensor): Tensor[] => [mean(affine(affine(affine(t, 2, 0), 3, 0), 4, 0), { axes: null })];
    const before = stats.live;
    const plans = [fn, fn, (t: Tensor) => fn(silu(t))].map((f) => new Plan(engine, f));
    const lives = plans.map((plan) => {
      for (const t of plan.run([x])) t.dispose();
      return stats.live - before;
    });
    // Two buffers of a quarter of a megabyte, and parameters.
    expect(lives[0]).toBeGreaterThan(2 * 2 ** 18);
    expect(lives[2]).toBeLessThan(2 * 2 ** 18 + 3 * 2 ** 13);
    for (const plan of plans) plan.dispose();
    expect(stats.live).toBe(before);
    engine.device.destroy();
  });
});
