// Attention over heads that lie channels first, [d, t]; V: vec4 access (t divides by 4); Q: how qkv is
// stored. The including file defines the aliases Row: how it accesses what a query has one of; and Out: how it stores out.
// forward: out = softmax(qᵀk·scale)·vᵀ, lse = log Σ exp.
const V = 1u; //!param
alias T = vec4f; //!param
alias Q = T; //!param
struct Params {
  t: u32, d: u32, heads: u32, images: u32, image: u32, head: u32, part: u32, scale: f32,
}
@group(0) @binding(0) var<storage, read> qkv: array<Q>;
@group(0) @binding(1) var<storage, read_write> out: array<Out>;
@group(0) @binding(2) var<storage, read_write> lse_out: array<Row>;
@group(0) @binding(3) var<uniform> p: Params;

// Where a head starts: q, k, v in qkv; y in out; its queries in lse.
struct Head { q: u32, k: u32, v: u32, y: u32, queries: u32 }
fn head_at(image: u32, head: u32) -> Head {
  let q = image * p.image + head * p.head;
  let unit = image * p.heads + head;
  return Head(q, q + p.part, q + 2u * p.part, unit * p.d * p.t, unit * p.t);
}
