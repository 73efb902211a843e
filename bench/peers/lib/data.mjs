// Deterministic inputs, the same in JavaScript and in torch_bench.py, so that
// every peer computes on identical numbers and its outputs can be checked.

/** Integer hash (murmur3 finaliser) of one counter. */
function mix(h) {
  h ^= h >>> 16;
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  h ^= h >>> 16;
  return h >>> 0;
}

/** `count` floats, uniform in [-scale, scale), from a seed. */
export function uniform(seed, count, scale = 1) {
  const out = new Float32Array(count);
  const base = mix(Math.imul(seed + 1, 0x9e3779b9));
  for (let i = 0; i < count; i++) out[i] = ((mix((base + i) | 0) >>> 8) / 8388608 - 1) * scale;
  return out;
}

export const prod = (shape) => shape.reduce((a, b) => a * b, 1);

/** Output checks: permutation-invariant, so layout does not matter. */
export function checks(arrays) {
  return arrays.map((a) => {
    let sum = 0,
      sq = 0;
    for (let i = 0; i < a.length; i++) {
      sum += a[i];
      sq += a[i] * a[i];
    }
    return { n: a.length, sum, l2: Math.sqrt(sq) };
  });
}

/** Input tensors of a case: name -> { shape, data } (NCHW / OIHW). */
export function inputs(c) {
  const t = (seed, shape, scale = 1) => ({ shape, data: uniform(seed, prod(shape), scale) });
  switch (c.kind) {
    case "matmul":
      return { a: t(1, [c.m, c.k]), b: t(2, [c.k, c.n]) };
    case "conv":
      return {
        x: t(1, [c.n, c.ci, c.h, c.w]),
        w: t(2, [c.co, c.ci, c.ks, c.ks], 1 / Math.sqrt(c.ci * c.ks * c.ks)),
        dy: t(3, [c.n, c.co, c.h, c.w]),
      };
    case "gn_silu":
      return {
        x: t(1, [c.n, c.c, c.h, c.w]),
        gamma: t(2, [c.c]),
        beta: t(3, [c.c]),
        dy: t(4, [c.n, c.c, c.h, c.w]),
      };
    case "attn": {
      const s = [c.b, c.heads, c.t, c.d];
      return { q: t(1, s, 2), k: t(2, s, 2), v: t(3, s), dy: t(4, s) };
    }
    case "chain":
    case "sum":
      return { x: t(1, [c.size], 3) };
    case "adam":
      return {
        p: t(1, [c.size]),
        m: t(2, [c.size], 0.1),
        v: (() => {
          const r = t(3, [c.size], 0.1);
          r.data = r.data.map(Math.abs);
          return r;
        })(),
        g: t(4, [c.size]),
      };
    default:
      throw new Error(`no inputs for ${c.kind}`);
  }
}
