// Small matrix products on software adapters: C = A·B (+ bias of each column) (+ C), f32, batched. An invocation gives four columns
// of a row. Transposes are strides, bias and accumulation parameters: one pipeline serves every form. A linear layer of a time
// embedding is 0.1 ms of work, for which the tiled kernel compiles five variants (lavapipe: 1.9 s in a training step).
const WG = 32u;
struct Params {
  m: u32, n: u32, k: u32, sum: u32, inner: u32, count: u32, // count: of matrices, rules the grid
  a_start: u32, a_row: u32, a_k: u32, a_outer: u32, a_inner: u32, a_sum: u32,
  b_start: u32, b_k: u32, b_column: u32, b_outer: u32, b_inner: u32, b_sum: u32,
  c_start: u32, c_line: u32, c_outer: u32, c_inner: u32, biased: u32, accumulate: u32,
}
@group(0) @binding(0) var<storage, read> a: array<f32>;
@group(0) @binding(1) var<storage, read> b: array<f32>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y;
  let first = id.x * 4u;
  if (first >= p.n) { return; }
  let outer = id.z / p.inner;
  let inner = id.z % p.inner;
  let column = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u));
  var s = vec4f();
  for (var t = 0u; t < p.sum; t++) {
    var at = p.a_start + outer * p.a_outer + inner * p.a_inner + t * p.a_sum + row * p.a_row;
    var from_ = p.b_start + outer * p.b_outer + inner * p.b_inner + t * p.b_sum + column * p.b_column;
    for (var k = 0u; k < p.k; k++) {
      s = fma(vec4f(a[at]), vec4f(b[from_.x], b[from_.y], b[from_.z], b[from_.w]), s);
      at += p.a_k;
      from_ += p.b_k;
    }
  }
  let to = p.c_start + outer * p.c_outer + inner * p.c_inner + row * p.c_line + first;
  for (var e = 0u; e < min(4u, p.n - first); e++) {
    var v = s[e];
    if (p.biased > 0u) { v += bias[first + e]; }
    if (p.accumulate > 0u) { v += c[to + e]; }
    c[to + e] = v;
  }
}
