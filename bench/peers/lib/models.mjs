// The two models of the benchmark, written once over an abstract set of
// operations. Each peer supplies the operations; parameters come from `p`.
//
// ops: conv(x, w, b, {stride}), groupNorm(x, gamma, beta, groups), silu(x),
// linear(x, w, b), add(x, y), scaleShift(h, e) = h*(1+e[:, :C]) + e[:, C:],
// attention(qkv, heads), concat(x, y), upsample(x) (nearest, 2x).
// `p(name, shape, kind)` returns a parameter; kind is "w", "b" or "g".

const conv = (o, p, name, x, ci, co, ks, opt = {}) =>
  o.conv(x, p(`${name}.w`, [co, ci, ks, ks], "w"), p(`${name}.b`, [co], "b"), { ks, stride: 1, ...opt });
const linear = (o, p, name, x, i, n) => o.linear(x, p(`${name}.w`, [i, n], "w"), p(`${name}.b`, [n], "b"));
const norm = (o, p, name, x, c, groups) =>
  o.groupNorm(x, p(`${name}.g`, [c], "g"), p(`${name}.b`, [c], "b"), groups);

function resBlock(o, p, name, x, emb, ci, co, cfg) {
  let h = conv(o, p, `${name}.conv1`, o.silu(norm(o, p, `${name}.gn1`, x, ci, cfg.groups)), ci, co, 3);
  const e = linear(o, p, `${name}.emb`, o.silu(emb), cfg.emb, 2 * co);
  h = o.scaleShift(norm(o, p, `${name}.gn2`, h, co, cfg.groups), e);
  h = conv(o, p, `${name}.conv2`, o.silu(h), co, co, 3);
  return o.add(ci === co ? x : conv(o, p, `${name}.skip`, x, ci, co, 1), h);
}

function attnBlock(o, p, name, x, c, cfg) {
  const h = norm(o, p, `${name}.gn`, x, c, cfg.groups);
  const a = o.attention(conv(o, p, `${name}.qkv`, h, c, 3 * c, 1), cfg.heads);
  return o.add(x, conv(o, p, `${name}.proj`, a, c, c, 1));
}

export const models = {
  /** Two group-norm/SiLU/conv layers with a time-embedding scale and shift. */
  block: {
    inputs: (c) => ({
      x: [c.batch, c.channels, c.size, c.size],
      emb: [c.batch, c.emb],
      target: [c.batch, c.channels, c.size, c.size],
    }),
    apply: (o, p, cfg, x, emb) => resBlock(o, p, "block", x, emb, cfg.channels, cfg.channels, cfg),
  },

  /** A small guided-diffusion style UNet. */
  unet: {
    inputs: (c) => ({
      x: [c.batch, c.inChannels, c.size, c.size],
      emb: [c.batch, c.channels],
      target: [c.batch, c.inChannels, c.size, c.size],
    }),
    apply(o, p, c, x, t) {
      const cfg = { ...c, emb: 4 * c.channels };
      let emb = linear(o, p, "time.0", t, c.channels, cfg.emb);
      emb = linear(o, p, "time.2", o.silu(emb), cfg.emb, cfg.emb);
      let ch = c.channels * c.mults[0];
      let size = c.size;
      let h = conv(o, p, "in", x, c.inChannels, ch, 3);
      const skips = [[h, ch]];
      c.mults.forEach((m, level) => {
        for (let i = 0; i < c.resBlocks; i++) {
          const co = c.channels * m;
          h = resBlock(o, p, `down${level}.${i}`, h, emb, ch, co, cfg);
          ch = co;
          if (c.attnAt.includes(size)) h = attnBlock(o, p, `down${level}.${i}.attn`, h, ch, cfg);
          skips.push([h, ch]);
        }
        if (level < c.mults.length - 1) {
          h = conv(o, p, `down${level}.ds`, h, ch, ch, 3, { stride: 2 });
          size /= 2;
          skips.push([h, ch]);
        }
      });
      h = resBlock(o, p, "mid.0", h, emb, ch, ch, cfg);
      h = attnBlock(o, p, "mid.attn", h, ch, cfg);
      h = resBlock(o, p, "mid.1", h, emb, ch, ch, cfg);
      for (let level = c.mults.length - 1; level >= 0; level--) {
        for (let i = 0; i <= c.resBlocks; i++) {
          const [s, sc] = skips.pop();
          const co = c.channels * c.mults[level];
          h = resBlock(o, p, `up${level}.${i}`, o.concat(h, s), emb, ch + sc, co, cfg);
          ch = co;
          if (c.attnAt.includes(size)) h = attnBlock(o, p, `up${level}.${i}.attn`, h, ch, cfg);
        }
        if (level > 0) {
          h = conv(o, p, `up${level}.us`, o.upsample(h), ch, ch, 3);
          size *= 2;
        }
      }
      h = o.silu(norm(o, p, "out.gn", h, ch, cfg.groups));
      return conv(o, p, "out.conv", h, ch, c.inChannels, 3);
    },
  },
};

/** Shape-only operations: used to list parameters and to count FLOPs. */
function shapeOps() {
  const o = {
    flops: 0,
    conv(x, w, b, { ks, stride }) {
      const [n, ci, h, wd] = x.shape;
      const [oh, ow] = [Math.ceil(h / stride), Math.ceil(wd / stride)];
      o.flops += 2 * n * w.shape[0] * oh * ow * ci * ks * ks;
      return { shape: [n, w.shape[0], oh, ow] };
    },
    groupNorm: (x) => x,
    silu: (x) => x,
    linear(x, w) {
      o.flops += 2 * x.shape[0] * w.shape[0] * w.shape[1];
      return { shape: [x.shape[0], w.shape[1]] };
    },
    add: (x) => x,
    scaleShift: (x) => x,
    attention(x) {
      const [n, c3, h, w] = x.shape;
      o.flops += 4 * n * (c3 / 3) * (h * w) ** 2;
      return { shape: [n, c3 / 3, h, w] };
    },
    concat: (x, y) => ({ shape: [x.shape[0], x.shape[1] + y.shape[1], x.shape[2], x.shape[3]] }),
    upsample: (x) => ({ shape: [x.shape[0], x.shape[1], 2 * x.shape[2], 2 * x.shape[3]] }),
  };
  return o;
}

/** Parameters (name, shape, kind, in order), input shapes and forward FLOPs. */
export function describe(model, cfg) {
  const m = models[model];
  const params = [];
  const o = shapeOps();
  const p = (name, shape, kind) => {
    params.push({ name, shape, kind });
    return { shape };
  };
  const shapes = m.inputs(cfg);
  m.apply(o, p, cfg, { shape: shapes.x }, { shape: shapes.emb });
  return { params, shapes, flops: o.flops };
}
