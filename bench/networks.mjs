// The networks of the peers' harness (peers/lib/models.mjs), as a user of this library writes them: fused where there is a
// fused op, in scopes that free a block's tensors with the block. `p` gives a parameter by its name.
import {
  add,
  attention,
  concat,
  conv2d,
  groupNorm,
  linear,
  reshape,
  silu,
  upsampleNearest,
} from "deft-webgpu";

function conv(p, name, x, stride = 1) {
  const w = p(`${name}.w`);
  return conv2d(x, w, p(`${name}.b`), { stride, padding: w.dim(2) >> 1 });
}

const dense = (p, name, x) => linear(x, p(`${name}.w`), p(`${name}.b`));
const norm = (p, name, x, groups, options = {}) =>
  groupNorm(x, p(`${name}.g`), p(`${name}.b`), options.scaleShift ?? null, { groups, silu: options.silu });

/** `emb` has its SiLU already: all blocks of a network take the same. */
function resBlock(p, name, x, emb, groups) {
  return x.engine.scope(() => {
    const scaleShift = dense(p, `${name}.emb`, emb);
    const h = conv(p, `${name}.conv1`, norm(p, `${name}.gn1`, x, groups, { silu: true }));
    const y = conv(p, `${name}.conv2`, norm(p, `${name}.gn2`, h, groups, { silu: true, scaleShift }));
    const skip = x.dim(1) === y.dim(1) ? x : conv(p, `${name}.skip`, x);
    return add(skip, y);
  });
}

function attentionBlock(p, name, x, { groups, heads }) {
  return x.engine.scope(() => {
    const [n, c, h, w] = x.shape;
    const qkv = conv(p, `${name}.qkv`, norm(p, `${name}.gn`, x, groups));
    const y = attention(reshape(qkv, [n, 3 * c, h * w]), { heads, order: "new" });
    return add(x, conv(p, `${name}.proj`, reshape(y, [n, c, h, w])));
  });
}

/** Two group-norm, SiLU, convolution layers with a time embedding. */
function block(p, { groups }, x, emb) {
  return resBlock(p, "block", x, silu(emb), groups);
}

/** A small UNet in the manner of ADM. */
function unet(p, c, x, t) {
  const { groups } = c;
  return x.engine.scope(() => {
    const emb = silu(dense(p, "time.2", silu(dense(p, "time.0", t))));
    const attend = (name, h) => (c.attnAt.includes(h.dim(2)) ? attentionBlock(p, `${name}.attn`, h, c) : h);
    let h = conv(p, "in", x);
    const skips = [h];
    c.mults.forEach((_, level) => {
      for (let i = 0; i < c.resBlocks; i++) {
        const [name, before] = [`down${level}.${i}`, h];
        h = x.engine.scope(() => attend(name, resBlock(p, name, before, emb, groups)));
        skips.push(h);
      }
      if (level < c.mults.length - 1) skips.push((h = conv(p, `down${level}.ds`, h, 2)));
    });
    const top = h;
    h = x.engine.scope(() => {
      const inner = attentionBlock(p, "mid.attn", resBlock(p, "mid.0", top, emb, groups), c);
      return resBlock(p, "mid.1", inner, emb, groups);
    });
    for (let level = c.mults.length - 1; level >= 0; level--) {
      for (let i = 0; i <= c.resBlocks; i++) {
        const [name, before, skip] = [`up${level}.${i}`, h, skips.pop()];
        h = x.engine.scope(() => attend(name, resBlock(p, name, concat([before, skip], 1), emb, groups)));
        before.dispose("the next block has read it");
        skip.dispose("the decoder has read it");
      }
      if (level > 0) {
        const before = h;
        h = x.engine.scope(() => conv(p, `up${level}.us`, upsampleNearest(before, 2)));
        before.dispose("the next block has read it");
      }
    }
    return conv(p, "out.conv", norm(p, "out.gn", h, groups, { silu: true }));
  });
}

export const networks = { block, unet };
