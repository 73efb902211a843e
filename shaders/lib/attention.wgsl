// Attention over heads that lie channels first, [d, t]; V: vec4 access (t divides by 4); Q: how qkv is
// stored. The including file defines the aliases Row: how it accesses what a query has one of; and Out: how it stores out.
// forward: out = softmax(qᵀk·scale)·vᵀ, lse = log Σ exp.
// scores: for the queries first … first+rows: probs = P, slopes = P·(dP − delta)·scale, each [rows, t] a head.
const V = 1u; //!param
alias T = vec4f; //!param
alias Q = T; //!param
struct Params {
  t: u32, d: u32, heads: u32, image: u32, head: u32, part: u32, scale: f32,
  first_image: u32, first_head: u32, images: u32, span: u32, first: u32, rows: u32,
}
@group(0) @binding(0) var<storage, read> qkv: array<Q>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<Out>;
@group(0) @binding(3) var<storage, read_write> lse_out: array<Row>;
@group(0) @binding(4) var<storage, read> lse: array<Row>;
@group(0) @binding(5) var<storage, read> delta: array<Row>;
@group(0) @binding(6) var<storage, read_write> probs: array<T>;
@group(0) @binding(7) var<storage, read_write> slopes: array<T>;
@group(0) @binding(8) var<uniform> p: Params;

// Where a head starts: q, k, v in qkv; y in y, dy and out; its queries in lse and delta.
struct Head { q: u32, k: u32, v: u32, y: u32, queries: u32 }
fn head_at(image: u32, head: u32) -> Head {
  let q = image * p.image + head * p.head;
  let unit = image * p.heads + head;
  return Head(q, q + p.part, q + 2u * p.part, unit * p.d * p.t, unit * p.t);
}

// The head of workgroup z of `scores`.
fn scored_head(z: u32) -> Head { return head_at(p.first_image + z / p.span, p.first_head + z % p.span); }

// Four tokens of P and its slope from `token` on of the line that starts at `line`, as far as they are inside.
fn put_scores(line: u32, token: u32, prob: vec4f, slope: vec4f) {
  //!if V == 1
  if (token < p.t) {
    probs[(line + token) >> 2u] = prob;
    slopes[(line + token) >> 2u] = slope;
  }
  //!else
  for (var e = 0u; e < 4u; e++) {
    if (token + e < p.t) {
      probs[line + token + e] = prob[e];
      slopes[line + token + e] = slope[e];
    }
  }
  //!end
}
