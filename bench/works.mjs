// The cases of the peers' harness on our engine. A work: run() records one pass and returns its outputs, read() gives them as
// host arrays, free() drops them.
import {
  adamStep,
  affine,
  attention,
  conv2d,
  conv2dWeightGradient,
  convTranspose2d,
  groupNorm,
  matmul,
  mean,
  Plan,
  silu,
  square,
  sub,
  sum,
} from "deft-webgpu";
import { Adam, Declarations, ParameterSet } from "deft-webgpu/nn";
import { networks } from "./networks.mjs";

/** A work for one case; `data` as peers/lib/data.mjs and peers/bench.mjs make it. */
export function buildWork(engine, c, data) {
  const inputs = (names) => names.map((name) => engine.tensor(data[name].data, data[name].shape));
  const work = kinds[c.kind](engine, c, data, inputs);
  return {
    read: (outs) => Promise.all(outs.map((t) => t.read())),
    free: (outs) => outs.forEach((t) => t.dispose()),
    ...work,
    run: () => engine.scope(work.run),
  };
}

const kinds = {
  matmul(_engine, _c, _data, inputs) {
    const [a, b] = inputs(["a", "b"]);
    return { run: () => [matmul(a, b)] };
  },

  // Weights are constants where their gradient is not asked for: what a kernel makes of them is made once, as in ONNX sessions.
  conv(_engine, c, data, inputs) {
    const [x, w, dy] = inputs(["x", "w", "dy"]);
    const options = { padding: c.ks >> 1 };
    if (c.mode === "dw") return { run: () => [conv2dWeightGradient(x, dy, w.shape, options)] };
    w.markConstant();
    if (c.mode === "fwd") return { run: () => [conv2d(x, w, null, options)] };
    return { run: () => [convTranspose2d(dy, w, null, options)] };
  },

  gn_silu(engine, c, _data, inputs) {
    const [x, gamma, beta, dy] = inputs(["x", "gamma", "beta", "dy"]);
    const forward = () => groupNorm(x, gamma, beta, null, { groups: c.groups, silu: true });
    if (c.mode === "fwd") return { run: () => [forward()] };
    const wanted = [x, gamma, beta];
    for (const t of wanted) t.requiresGrad = true;
    return { run: () => engine.gradients(forward(), wanted, dy) };
  },

  // Our attention takes q, k and v as one tensor with positions along the last axis, as a 1×1 convolution gives them.
  attn(engine, c, data) {
    const { b, heads, t, d } = c;
    const size = heads * d * t;
    const qkvData = new Float32Array(3 * b * size);
    ["q", "k", "v"].forEach((name, part) => {
      const rows = positionsLast(data[name].data, c);
      for (let i = 0; i < b; i++) qkvData.set(rows.subarray(i * size, (i + 1) * size), (3 * i + part) * size);
    });
    const qkv = engine.tensor(qkvData, [b, 3 * heads * d, t]);
    const forward = () => attention(qkv, { heads, order: "new" });
    if (c.mode === "fwd") return { run: () => [forward()] };
    qkv.requiresGrad = true;
    const dy = engine.tensor(positionsLast(data.dy.data, c), [b, heads * d, t]);
    return {
      run: () => engine.gradients(forward(), [qkv], dy),
      async read([gradient]) {
        const values = await gradient.read();
        const part = (k) =>
          Float32Array.from(
            { length: b * size },
            (_, i) => values[(3 * Math.floor(i / size) + k) * size + (i % size)],
          );
        return [part(0), part(1), part(2)];
      },
    };
  },

  chain(_engine, c, _data, inputs) {
    const [x] = inputs(["x"]);
    return { run: () => [silu(affine(x, c.a, c.b))] };
  },

  sum(_engine, _c, _data, inputs) {
    const [x] = inputs(["x"]);
    return { run: () => [sum(x, { axes: null })] };
  },

  adam(engine, c, _data, inputs) {
    const [params, m, v, grads] = inputs(["p", "m", "v", "g"]);
    let step = 10; // the harness begins there
    return {
      run() {
        adamStep(
          engine,
          { params, grads, m, v },
          { step: step++, lr: c.lr, beta1: 0.9, beta2: 0.999, eps: 1e-8 },
        );
        return [params, m, v];
      },
      free() {},
    };
  },

  model(engine, c, data, inputs) {
    const trainable = c.mode === "step";
    const declarations = new Declarations();
    for (const { name, shape } of data.params)
      declarations.add(name, shape.length === 2 ? [...shape].reverse() : shape, 0);
    const set = new ParameterSet(engine, declarations.list, { trainable });
    data.params.forEach((q, i) =>
      set.write(set.parameters[i], q.shape.length === 2 ? transposed(q) : q.data),
    );
    const byName = new Map(set.parameters.map((parameter) => [parameter.name, parameter]));
    const p = (name) => byName.get(name).value;
    const [x, emb, target] = inputs(["x", "emb", "target"]);
    const forward = (x, emb) => networks[c.model](p, c.cfg, x, emb);
    if (!trainable) {
      const plan = new Plan(engine, (x, emb) => [forward(x, emb)]);
      return { run: () => plan.run([x, emb]) };
    }
    const adam = new Adam(set);
    const weights = set.parameters.map((parameter) => parameter.value);
    const plan = new Plan(engine, (x, emb, target) => {
      const loss = mean(square(sub(forward(x, emb), target)), { axes: null });
      adam.gather(engine.gradients(loss, weights));
      return [loss];
    });
    return {
      run() {
        const results = plan.run([x, emb, target]);
        adam.step(c.lr);
        return results;
      },
    };
  },
};

/** [b, heads, t, d] to [b, heads, d, t]. */
function positionsLast(values, { b, heads, t, d }) {
  const out = new Float32Array(values.length);
  for (let group = 0; group < b * heads; group++)
    for (let i = 0; i < t; i++)
      for (let e = 0; e < d; e++) out[(group * d + e) * t + i] = values[(group * t + i) * d + e];
  return out;
}

/** The harness keeps linear weights as [in, out], our layers as [out, in]. */
function transposed({ shape: [rows, columns], data }) {
  const out = new Float32Array(data.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) out[j * rows + i] = data[i * columns + j];
  return out;
}
