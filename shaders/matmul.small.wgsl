// Small matrix products on software adapters: C = A·B (+ bias of each column) (+ C), f32, batched. An invocation gives four rows by
// four columns. Transposes are strides, bias and accumulation parameters: few pipelines serve every form, where the tiled kernel
// compiles several for the linear layers of a time embedding, 0.1 ms of work. Lavapipe takes
// some 0.4 s for a form of the tiled kernel, of which these layers need three or more, and as long for both pipelines of this one. With
// its last loop unrolled they take 0.5 s and save 0.3 ms of a UNet's training step of 200.
// MODE 0: single loads. 1: four columns of B a load. 2: A and B four of k a load, k divides by 4.
const WG = 32u;
const MODE = 0u; //!param
alias AT = f32; //!param
alias BT = f32; //!param
struct Params {
  m: u32, n: u32, k: u32, sum: u32, inner: u32, count: u32, // count: of matrices, rules the grid
  a_start: u32, a_row: u32, a_k: u32, a_outer: u32, a_inner: u32, a_sum: u32,
  b_start: u32, b_k: u32, b_column: u32, b_outer: u32, b_inner: u32, b_sum: u32,
  c_start: u32, c_line: u32, c_outer: u32, c_inner: u32, biased: u32, accumulate: u32,
}
@group(0) @binding(0) var<storage, read> a: array<AT>;
@group(0) @binding(1) var<storage, read> b: array<BT>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;
const r = 0u; //!drop

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u) {
  let row = id.y * 4u;
  let first = id.x * 4u;
  if (first >= p.n) { return; }
  let outer = id.z / p.inner;
  let inner = id.z % p.inner;
  let column = min(first + vec4u(0u, 1u, 2u, 3u), vec4u(p.n - 1u)) * p.b_column;
  //!repeat r 0..4
  let row_r = min(row + r, p.m - 1u) * p.a_row;
  var s_r = vec4f();
  //!end
  for (var t = 0u; t < p.sum; t++) {
    let from_a = p.a_start + outer * p.a_outer + inner * p.a_inner + t * p.a_sum;
    let from_b = p.b_start + outer * p.b_outer + inner * p.b_inner + t * p.b_sum;
    //!if MODE == 2
    let at = (from_b + column) / 4u;
    for (var k = 0u; k < p.k / 4u; k++) {
      let y0 = b[at.x + k];
      let y1 = b[at.y + k];
      let y2 = b[at.z + k];
      let y3 = b[at.w + k];
      //!repeat r 0..4
      let x_r = a[(from_a + row_r) / 4u + k];
      s_r += vec4f(dot(x_r, y0), dot(x_r, y1), dot(x_r, y2), dot(x_r, y3));
      //!end
    }
    //!else
    for (var k = 0u; k < p.k; k++) {
      //!if MODE == 1
      let y = b[(from_b + k * p.b_k + first) / 4u];
      //!else
      let at = from_b + k * p.b_k + column;
      let y = vec4f(b[at.x], b[at.y], b[at.z], b[at.w]);
      //!end
      //!repeat r 0..4
      s_r = fma(vec4f(a[from_a + row_r + k * p.a_k]), y, s_r);
      //!end
    }
    //!end
  }
  let to = p.c_start + outer * p.c_outer + inner * p.c_inner + first;
  var s = array<vec4f, 4>(s_0, s_1, s_2, s_3);
  for (var i = 0u; i < 4u * min(4u, p.m - row); i++) {
    let e = i % 4u;
    if (first + e < p.n) {
      let at = to + (row + i / 4u) * p.c_line + e;
      var v = s[i / 4u][e];
      if (p.biased > 0u) { v += bias[first + e]; }
      if (p.accumulate > 0u) { v += c[at]; }
      c[at] = v;
    }
  }
}
