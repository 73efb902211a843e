// @jax-js/jax on its WebGPU backend, through Dawn in Node.
//
// Polyfills: only navigator.gpu and the WebGPU globals (lib/env.mjs), and
// navigator.userAgent (its tuner reads it; Node 20 has no `navigator` at all)
// and, on Node below 22, the iterator helpers that np.einsum uses.
// The synchronous readback needs OffscreenCanvas and stays unavailable; the
// asynchronous API is enough. Its fast path is used throughout: jit().
import { installWebGPU } from "../lib/env.mjs";
import { models } from "../lib/models.mjs";

installWebGPU();
// np.einsum uses iterator helpers, which came with Node 22.
const iterator = Object.getPrototypeOf(Object.getPrototypeOf([][Symbol.iterator]()));
for (const name of ["map", "filter", "flatMap", "forEach", "reduce", "some", "every", "find"])
  iterator[name] ??= function (...args) {
    const r = [...this][name](...args);
    return Array.isArray(r) ? r.values() : r;
  };
iterator.toArray ??= function () {
  return [...this];
};
const jax = await import("@jax-js/jax");
const { numpy: np, lax, nn, jit, vjp, valueAndGrad, tree } = jax;
let device;

const arr = ({ data, shape }) => np.array(data).reshape(shape);

/** Every op takes a new reference of each input: tracers inside jit() only. */
const ops = {
  conv: (x, w, b, { ks, stride }) => {
    const pad = ks >> 1;
    const y = lax.convGeneralDilated(
      x.ref,
      w.ref,
      [stride, stride],
      [
        [pad, pad],
        [pad, pad],
      ],
    );
    return b ? y.add(b.ref.reshape([1, b.shape[0], 1, 1])) : y;
  },
  groupNorm: (x, g, b, groups) => {
    const [n, c, h, w] = x.shape;
    // Its own normalisation, nn.standardize, over the channels of a group.
    const y = nn.standardize(x.ref.reshape([n, groups, (c / groups) * h * w]), -1);
    return y
      .reshape(x.shape)
      .mul(g.ref.reshape([1, c, 1, 1]))
      .add(b.ref.reshape([1, c, 1, 1]));
  },
  silu: (x) => nn.silu(x.ref),
  linear: (x, w, b) => np.matmul(x.ref, w.ref).add(b.ref),
  add: (x, y) => x.ref.add(y.ref),
  scaleShift: (h, e) => {
    const [n, c] = h.shape;
    const s = e.ref.slice([], [0, c]).reshape([n, c, 1, 1]);
    const t = e.ref.slice([], [c, 2 * c]).reshape([n, c, 1, 1]);
    return h.ref.mul(s.add(1)).add(t);
  },
  sdpa: (q, k, v) => {
    // [b, heads, t, d], the layout of the other peers.
    const d = q.shape[3];
    const w = nn.softmax(np.einsum("bhtd,bhsd->bhts", q.ref, k.ref).mul(1 / Math.sqrt(d)), -1);
    return np.einsum("bhts,bhsd->bhtd", w, v.ref);
  },
  attention: (qkv, heads) => {
    const [n, c3, h, w] = qkv.shape;
    const c = c3 / 3;
    const a = qkv.ref.reshape([n, 3, heads, c / heads, h * w]);
    const [q, k, v] = [0, 1, 2].map((i) => a.ref.slice([], i));
    const s = nn.softmax(np.einsum("bhdt,bhds->bhts", q, k).mul(1 / Math.sqrt(c / heads)), -1);
    return np.einsum("bhts,bhds->bhdt", s, v).reshape([n, c, h, w]);
  },
  concat: (x, y) => np.concatenate([x.ref, y.ref], 1),
  upsample: (x) => np.repeat(np.repeat(x.ref, 2, 2), 2, 3),
};

const adam = (p, g, m, v, lr_t, eps_t) => {
  const m2 = m.mul(0.9).add(g.ref.mul(0.1));
  const v2 = v.mul(0.999).add(g.ref.mul(g).mul(0.001));
  const p2 = p.sub(m2.ref.div(np.sqrt(v2.ref).add(eps_t)).mul(lr_t));
  return [p2, m2, v2];
};
/** Bias-corrected step size and epsilon at step t, computed on the host. */
const adamScalars = (lr, t) => {
  const c2 = Math.sqrt(1 - 0.999 ** t);
  return [(lr * c2) / (1 - 0.9 ** t), 1e-8 * c2];
};

/** Jit `fn` of arrays; run() passes new references of the same inputs. */
function simple(fn, args) {
  const f = jit(fn);
  return { run: () => f(...args.map((a) => a.ref)) };
}

const kinds = {
  matmul: (c, d) => simple((a, b) => [np.matmul(a, b)], [arr(d.a), arr(d.b)]),
  conv(c, d) {
    const conv = (x, w) => ops.conv(x, w, null, { ks: c.ks, stride: 1 });
    const [x, w, dy] = [arr(d.x), arr(d.w), arr(d.dy)];
    if (c.mode === "fwd") return simple((x, w) => [conv(x, w)], [x, w]);
    if (c.mode === "dx") return simple((x, w, dy) => vjp((x) => conv(x, w), [x])[1](dy), [x, w, dy]);
    return simple((x, w, dy) => vjp((w) => conv(x, w), [w])[1](dy), [x, w, dy]);
  },
  gn_silu(c, d) {
    const f = (x, g, b) => ops.silu(ops.groupNorm(x, g, b, c.groups));
    const args = [arr(d.x), arr(d.gamma), arr(d.beta)];
    if (c.mode === "fwd") return simple((...a) => [f(...a)], args);
    return simple((x, g, b, dy) => vjp(f, [x, g, b])[1](dy), [...args, arr(d.dy)]);
  },
  attn(c, d) {
    const args = [arr(d.q), arr(d.k), arr(d.v)];
    if (c.mode === "fwd") return simple((...a) => [ops.sdpa(...a)], args);
    return simple((q, k, v, dy) => vjp(ops.sdpa, [q, k, v])[1](dy), [...args, arr(d.dy)]);
  },
  chain: (c, d) => simple((x) => [nn.silu(x.mul(c.a).add(c.b))], [arr(d.x)]),
  sum: (c, d) => simple((x) => [x.sum()], [arr(d.x)]),
  adam(c, d) {
    let state = [arr(d.p), arr(d.m), arr(d.v)];
    const g = arr(d.g);
    const f = jit((p, m, v, g, lr, eps) => adam(p, g, m, v, lr, eps));
    let t = 10;
    return {
      run() {
        state = f(...state, g.ref, ...adamScalars(c.lr, t++).map((x) => np.array(x)));
        return state.map((s) => s.ref);
      },
    };
  },
  model(c, d) {
    const model = models[c.model];
    const names = d.params.map((p) => p.name);
    const params = d.params.map(arr);
    const [x, emb, target] = [arr(d.x), arr(d.emb), arr(d.target)];
    const apply = (ps, x, emb) => {
      const of = Object.fromEntries(names.map((n, i) => [n, ps[i]]));
      return model.apply(ops, (n) => of[n], c.cfg, x, emb);
    };
    if (c.mode === "fwd") {
      const f = jit((ps, x, emb) => [apply(ps, x, emb)]);
      return {
        run: () =>
          f(
            params.map((p) => p.ref),
            x.ref,
            emb.ref,
          ),
      };
    }
    const step = jit((ps, ms, vs, x, emb, target, lr, eps) => {
      const loss = (ps) => {
        const e = apply(ps, x, emb).sub(target.ref);
        return e.ref.mul(e).mean();
      };
      const [l, gs] = valueAndGrad(loss)(ps.map((p) => p.ref));
      const out = ps.map((p, i) => adam(p, gs[i], ms[i], vs[i], lr.ref, eps.ref));
      return [[l], out.map((o) => o[0]), out.map((o) => o[1]), out.map((o) => o[2])];
    });
    let state = [params, params.map((p) => np.zeros(p.shape)), params.map((p) => np.zeros(p.shape))];
    let t = 1;
    return {
      run() {
        const [l, ...next] = step(
          ...state,
          x.ref,
          emb.ref,
          target.ref,
          ...adamScalars(c.lr, t++).map((v) => np.array(v)),
        );
        state = next;
        l.state = next;
        return l;
      },
    };
  },
};

export default {
  async init() {
    await jax.init("webgpu");
    jax.defaultDevice("webgpu");
    device = jax.getWebGPUDevice();
    return `jax-js webgpu: ${device.adapterInfo.device || device.adapterInfo.description}`;
  },
  unsupported: () => null,
  async build(c, data) {
    const work = kinds[c.kind](c, data);
    return {
      run: work.run,
      async sync(outs) {
        // Submits what is pending (compiling it the first time), then waits.
        await jax.blockUntilReady(outs.map((o) => [...o]));
        const { state } = outs[outs.length - 1];
        if (state) await jax.blockUntilReady(state);
        await device.queue.onSubmittedWorkDone();
      },
      read: (out) => Promise.all(out.map((a) => a.ref.data())),
      free: (out) => tree.dispose([...out]),
    };
  },
};
