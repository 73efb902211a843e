// ONNX graphs of the cases, for the three ONNX Runtime peers. Inference only:
// no gradients, so backward and training cases are not possible; the input
// gradient of a convolution is its ConvTranspose operator.
import { Graph } from "./onnx.mjs";
import { models } from "./models.mjs";

/** NCHW operations of lib/models.mjs that write ONNX nodes. */
function graphOps(g) {
  const shape = (x) => g.shapes.get(x);
  const o = {
    conv(x, w, b, { ks, stride }) {
      const [n, , h, wd] = shape(x);
      const pad = ks >> 1;
      const s = [n, shape(w)[0], Math.ceil(h / stride), Math.ceil(wd / stride)];
      const attrs = { kernel_shape: [ks, ks], strides: [stride, stride], pads: [pad, pad, pad, pad] };
      return g.node("Conv", b ? [x, w, b] : [x, w], attrs, { shape: s });
    },
    // As PyTorch exports it: InstanceNormalization over reshaped groups.
    groupNorm(x, gamma, beta, groups) {
      const s = shape(x);
      const c = s[1];
      const y = g.node("Reshape", [x, g.ints(0, groups, -1)]);
      const ones = g.constant(new Float32Array(groups).fill(1), [groups]);
      const zeros = g.constant(new Float32Array(groups), [groups]);
      const z = g.node("InstanceNormalization", [y, ones, zeros], { epsilon: { float: 1e-5 } });
      const back = g.node("Reshape", [z, g.ints(...s)], {}, { shape: s });
      const per = (p) => g.node("Reshape", [p, g.ints(1, c, 1, 1)]);
      return g.node("Add", [g.node("Mul", [back, per(gamma)]), per(beta)], {}, { shape: s });
    },
    silu: (x) => g.node("Mul", [x, g.node("Sigmoid", [x])], {}, { shape: shape(x) }),
    linear: (x, w, b) => g.node("Gemm", [x, w, b], {}, { shape: [shape(x)[0], shape(w)[1]] }),
    add: (x, y) => g.node("Add", [x, y], {}, { shape: shape(x) }),
    scaleShift(h, e) {
      const [n, c] = shape(h);
      const r = g.node("Reshape", [e, g.ints(n, 2 * c, 1, 1)]);
      const [s, t] = g.node("Split", [r, g.ints(c, c)], { axis: 1 }, { outputs: 2 });
      const scaled = g.node("Mul", [h, g.node("Add", [s, g.scalar(1)])]);
      return g.node("Add", [scaled, t], {}, { shape: shape(h) });
    },
    // q, k, v: [n, t, heads * d]
    mha: (q, k, v, heads, s) =>
      g.node("MultiHeadAttention", [q, k, v], { num_heads: heads }, { domain: "com.microsoft", shape: s }),
    attention(qkv, heads) {
      const [n, c3, h, w] = shape(qkv);
      const c = c3 / 3;
      const flat = g.node("Reshape", [qkv, g.ints(n, c3, h * w)]);
      const t = g.node("Transpose", [flat], { perm: [0, 2, 1] });
      const [q, k, v] = g.node("Split", [t, g.ints(c, c, c)], { axis: 2 }, { outputs: 3 });
      const a = g.node("Transpose", [o.mha(q, k, v, heads)], { perm: [0, 2, 1] });
      return g.node("Reshape", [a, g.ints(n, c, h, w)], {}, { shape: [n, c, h, w] });
    },
    concat(x, y) {
      const [a, b] = [shape(x), shape(y)];
      return g.node("Concat", [x, y], { axis: 1 }, { shape: [a[0], a[1] + b[1], a[2], a[3]] });
    },
    upsample(x) {
      const [n, c, h, w] = shape(x);
      const scales = g.constant(Float32Array.of(1, 1, 2, 2), [4]);
      const attrs = { mode: "nearest", nearest_mode: "floor", coordinate_transformation_mode: "asymmetric" };
      return g.node("Resize", [x, "", scales], attrs, { shape: [n, c, 2 * h, 2 * w] });
    },
  };
  return o;
}

export function unsupported(c) {
  if (c.kind === "conv" && c.mode === "dw") return "inference only: no weight gradient";
  if (["fwdbwd", "step"].includes(c.mode) || c.kind === "adam")
    return "inference only: no gradients, no optimizer";
  return null;
}

/** The model of a case and the tensors to feed it. */
export function build(c, d) {
  const g = new Graph();
  const o = graphOps(g);
  const feeds = {};
  const input = (name, t) => {
    feeds[name] = t;
    return g.input(name, t.shape);
  };
  let out;
  if (c.kind === "matmul")
    out = g.node("MatMul", [input("a", d.a), g.constant(d.b.data, d.b.shape)], {}, { shape: [c.m, c.n] });
  else if (c.kind === "conv") {
    const w = g.constant(d.w.data, d.w.shape);
    if (c.mode === "fwd") out = o.conv(input("x", d.x), w, null, { ks: c.ks, stride: 1 });
    else {
      const p = c.ks >> 1;
      out = g.node(
        "ConvTranspose",
        [input("dy", d.dy), w],
        { kernel_shape: [c.ks, c.ks], pads: [p, p, p, p] },
        { shape: d.x.shape },
      );
    }
  } else if (c.kind === "gn_silu")
    out = o.silu(
      o.groupNorm(input("x", d.x), g.constant(d.gamma.data, [c.c]), g.constant(d.beta.data, [c.c]), c.groups),
    );
  else if (c.kind === "attn") {
    // Their operator takes [b, t, heads * d]: permute on the host, once.
    const s = [c.b, c.t, c.heads * c.d];
    const perm = ({ data }) => {
      const r = new Float32Array(data.length);
      let i = 0;
      for (let b = 0; b < c.b; b++)
        for (let h = 0; h < c.heads; h++)
          for (let t = 0; t < c.t; t++)
            for (let e = 0; e < c.d; e++) r[((b * c.t + t) * c.heads + h) * c.d + e] = data[i++];
      return { data: r, shape: s };
    };
    out = o.mha(input("q", perm(d.q)), input("k", perm(d.k)), input("v", perm(d.v)), c.heads, s);
  } else if (c.kind === "chain") {
    const y = g.node("Add", [g.node("Mul", [input("x", d.x), g.scalar(c.a)]), g.scalar(c.b)]);
    out = g.node("Mul", [y, g.node("Sigmoid", [y])], {}, { shape: [c.size] });
  } else if (c.kind === "sum") out = g.node("ReduceSum", [input("x", d.x)], { keepdims: 1 }, { shape: [1] });
  else {
    const of = Object.fromEntries(d.params.map((p) => [p.name, p]));
    const made = {};
    const p = (n) => (made[n] ??= g.constant(of[n].data, of[n].shape));
    out = models[c.model].apply(o, p, c.cfg, input("x", d.x), input("emb", d.emb));
  }
  g.output(out, g.shapes.get(out));
  return { bytes: g.model(), feeds, output: out };
}

/** A peer of onnxruntime-node with one execution provider. */
export function nodePeer(ort, provider) {
  return {
    async init() {
      return `onnxruntime-node ${ort.env.versions?.node ?? ""} ${provider}`;
    },
    unsupported,
    async build(c, data) {
      const { bytes, feeds, output } = build(c, data);
      const ep = process.env.ORT_EP_OPTIONS
        ? { name: provider, ...JSON.parse(process.env.ORT_EP_OPTIONS) }
        : provider;
      const session = await ort.InferenceSession.create(bytes, {
        executionProviders: [ep],
        intraOpNumThreads: 2,
        logSeverityLevel: +(process.env.ORT_LOG ?? 3),
        enableProfiling: !!process.env.ORT_PROFILE,
      });
      const ins = Object.fromEntries(
        Object.entries(feeds).map(([k, t]) => [k, new ort.Tensor("float32", t.data, t.shape)]),
      );
      return {
        run: async () => (await session.run(ins))[output],
        async sync() {}, // run() uploads, computes and downloads
        read: async (t) => [t.data],
        free() {},
        dispose() {
          if (process.env.ORT_PROFILE) session.endProfiling();
        },
      };
    },
  };
}
