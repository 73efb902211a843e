// @tensorflow/tfjs with @tensorflow/tfjs-backend-webgpu, through Dawn in Node.
//
// Polyfills: only navigator.gpu and the WebGPU globals (lib/env.mjs). The
// CommonJS builds load in Node as they are; synchronous readback (dataSync)
// needs OffscreenCanvas and stays unavailable. Its kernels prefer NHWC, which
// is the default here; TFJS_LAYOUT=NCHW measures the other layout for the
// plain convolutions. It has no group norm, SiLU or attention op: they are
// composed of its primitives, as a user would. No fusion, no graph capture.
import { createRequire } from "node:module";
import { installWebGPU } from "../lib/env.mjs";
import { models } from "../lib/models.mjs";

installWebGPU();
const require = createRequire(import.meta.url);
const tf = require("@tensorflow/tfjs");
require("@tensorflow/tfjs-backend-webgpu");

const nchw = process.env.TFJS_LAYOUT === "NCHW";
const format = nchw ? "NCHW" : "NHWC";
const raw = ({ data, shape }) => tf.tensor(data, shape);
/** Moves a tensor to the device in a permuted layout, once. */
const permuted = (t, perm) => tf.tidy(() => tf.transpose(raw(t), perm));
const image = (t) => (nchw ? raw(t) : permuted(t, [0, 2, 3, 1]));
const filter = (t) => permuted(t, [2, 3, 1, 0]); // OIHW -> HWIO

/** NHWC operations of lib/models.mjs. */
const ops = {
  conv: (x, w, b, { ks, stride }) => tf.add(tf.conv2d(x, w, stride, ks >> 1), b),
  groupNorm(x, g, b, groups) {
    const [n, h, w, c] = x.shape;
    const y = tf.reshape(x, [n, h * w, groups, c / groups]);
    const { mean, variance } = tf.moments(y, [1, 3], true);
    const z = tf.mul(tf.sub(y, mean), tf.rsqrt(tf.add(variance, 1e-5)));
    return tf.add(tf.mul(tf.reshape(z, x.shape), g), b);
  },
  silu: (x) => tf.mul(x, tf.sigmoid(x)),
  linear: (x, w, b) => tf.add(tf.matMul(x, w), b),
  add: (x, y) => tf.add(x, y),
  scaleShift(h, e) {
    const [n, , , c] = h.shape;
    const [s, t] = tf.split(tf.reshape(e, [n, 1, 1, 2 * c]), 2, 3);
    return tf.add(tf.mul(h, tf.add(s, 1)), t);
  },
  sdpa: (q, k, v) =>
    tf.matMul(tf.softmax(tf.mul(tf.matMul(q, k, false, true), 1 / Math.sqrt(q.shape[3]))), v),
  attention(qkv, heads) {
    const [n, h, w, c3] = qkv.shape;
    const c = c3 / 3;
    const [q, k, v] = tf
      .split(qkv, 3, 3)
      .map((x) => tf.transpose(tf.reshape(x, [n, h * w, heads, c / heads]), [0, 2, 1, 3]));
    return tf.reshape(tf.transpose(ops.sdpa(q, k, v), [0, 2, 1, 3]), [n, h, w, c]);
  },
  concat: (x, y) => tf.concat([x, y], 3),
  upsample: (x) => tf.image.resizeNearestNeighbor(x, [2 * x.shape[1], 2 * x.shape[2]]),
};

const simple = (fn) => ({ run: () => tf.tidy(() => [fn()].flat()) });

const kinds = {
  matmul(c, d) {
    const [a, b] = [raw(d.a), raw(d.b)];
    return simple(() => tf.matMul(a, b));
  },
  conv(c, d) {
    const [x, w, dy] = [image(d.x), filter(d.w), image(d.dy)];
    const pad = c.ks >> 1;
    const attrs = { strides: 1, pad, dataFormat: format };
    if (c.mode === "fwd") return simple(() => tf.conv2d(x, w, 1, pad, format));
    // The kernels that tf.grad() calls, without the forward pass.
    if (c.mode === "dx")
      return simple(() =>
        tf.engine().runKernel("Conv2DBackpropInput", { dy, filter: w }, { ...attrs, inputShape: x.shape }),
      );
    return simple(() =>
      tf.engine().runKernel("Conv2DBackpropFilter", { x, dy }, { ...attrs, filterShape: w.shape }),
    );
  },
  gn_silu(c, d) {
    const f = (x, g, b) => ops.silu(ops.groupNorm(x, g, b, c.groups));
    const args = [image(d.x), raw(d.gamma), raw(d.beta)];
    if (c.mode === "fwd") return simple(() => f(...args));
    const dy = image(d.dy);
    const grads = tf.grads(f);
    return simple(() => grads(args, dy));
  },
  attn(c, d) {
    const args = [raw(d.q), raw(d.k), raw(d.v)];
    if (c.mode === "fwd") return simple(() => ops.sdpa(...args));
    const dy = raw(d.dy);
    const grads = tf.grads(ops.sdpa);
    return simple(() => grads(args, dy));
  },
  chain(c, d) {
    const x = raw(d.x);
    return simple(() => ops.silu(tf.add(tf.mul(x, c.a), c.b)));
  },
  sum(c, d) {
    const x = raw(d.x);
    return simple(() => tf.sum(x));
  },
  adam(c, d) {
    const p = tf.variable(raw(d.p), true, "p");
    const g = raw(d.g);
    const opt = tf.train.adam(c.lr, 0.9, 0.999, 1e-8);
    // Start at step 10, with the given moments.
    const [m, v] = [tf.variable(raw(d.m), false), tf.variable(raw(d.v), false)];
    opt.accumulatedFirstMoment[0] = { originalName: "p/m", variable: m };
    opt.accumulatedSecondMoment[0] = { originalName: "p/v", variable: v };
    opt.accBeta1.assign(tf.scalar(0.9 ** 10));
    opt.accBeta2.assign(tf.scalar(0.999 ** 10));
    return {
      run() {
        opt.applyGradients({ p: g });
        return [p, m, v];
      },
      free() {},
    };
  },
  model(c, d) {
    const model = models[c.model];
    const vars = {};
    d.params.forEach((q) => {
      const t = q.shape.length === 4 ? filter(q) : raw(q);
      vars[q.name] = tf.variable(t, true, q.name);
    });
    const list = Object.values(vars);
    const [x, emb, target] = [image(d.x), raw(d.emb), image(d.target)];
    const apply = () => model.apply(ops, (n) => vars[n], c.cfg, x, emb);
    if (c.mode === "fwd") return simple(apply);
    const opt = tf.train.adam(c.lr, 0.9, 0.999, 1e-8);
    return {
      run() {
        const { value, grads } = tf.variableGrads(() => tf.mean(tf.square(tf.sub(apply(), target))), list);
        opt.applyGradients(grads);
        tf.dispose(grads);
        return [value];
      },
    };
  },
};

/** Ends and submits the command buffer that tfjs is still recording. */
function flush() {
  const b = tf.backend();
  if (!b.commandEncoder) return;
  b.endComputePassEncoder();
  b.submitQueue();
}

export default {
  async init() {
    await tf.setBackend("webgpu");
    await tf.ready();
    const { device } = tf.backend();
    return `tfjs webgpu ${format}: ${device.adapterInfo.device || device.adapterInfo.description}`;
  },
  unsupported: () => null,
  async build(c, data) {
    const work = kinds[c.kind](c, data);
    return {
      run: work.run,
      async sync() {
        flush();
        await tf.backend().queue.onSubmittedWorkDone();
      },
      read: (out) => Promise.all(out.map((t) => t.data())),
      free: work.free ?? ((out) => tf.dispose(out)),
      note: () => `${tf.memory().numTensors} tensors live`,
    };
  },
};
