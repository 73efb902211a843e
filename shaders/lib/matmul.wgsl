// Matrix products: C = op(A)·op(B) (+ bias of each column) (+ C), batched; op transposes where TA, TB. Places of A, B, C: see
// Place in src/kernels/matmul.ts. AV, BV, CV: vec4 access (lengths, strides and offsets divide by 4);
// AT, BT, CT: f32 or f16, or four of them.
const TA = 0u; //!param
const TB = 0u; //!param
const AV = 1u; //!param
const BV = 1u; //!param
const CV = 1u; //!param
const BIAS = 0u; //!param
const ACC = 0u; //!param
alias AT = vec4f; //!param
alias BT = vec4f; //!param
alias CT = vec4f; //!param
struct Params {
  m: u32, n: u32, k: u32, sum: u32, inner: u32, count: u32, // count: of matrices, rules the grid
  a_start: u32, a_line: u32, a_outer: u32, a_inner: u32, a_sum: u32,
  b_start: u32, b_line: u32, b_outer: u32, b_inner: u32, b_sum: u32,
  c_start: u32, c_line: u32, c_outer: u32, c_inner: u32,
}
@group(0) @binding(0) var<storage, read> a: array<AT>;
@group(0) @binding(1) var<storage, read> b: array<BT>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> c: array<CT>;
@group(0) @binding(4) var<uniform> p: Params;

// A matrix by number, as (outer, inner); the first elements of its operands, of summand t, and of C.
fn matrix_of(number: u32) -> vec2u { return vec2u(number / p.inner, number % p.inner); }
fn start_a(m: vec2u, t: u32) -> u32 { return p.a_start + m.x * p.a_outer + m.y * p.a_inner + t * p.a_sum; }
fn start_b(m: vec2u, t: u32) -> u32 { return p.b_start + m.x * p.b_outer + m.y * p.b_inner + t * p.b_sum; }
fn start_c(m: vec2u) -> u32 { return p.c_start + m.x * p.c_outer + m.y * p.c_inner; }

// Bias of the four columns from `col` on.
fn bias_at(col: u32) -> vec4f {
  var v = vec4f();
  //!if BIAS == 1
  //!repeat e 0..4
  v[e] = bias[min(col + e, p.n - 1u)];
  //!end
  //!end
  return v;
}

// Four values of the C that starts at c0, from (row, col) on, as far as they are inside.
fn store(c0: u32, row: u32, col: u32, value: vec4f) {
  if (row >= p.m) { return; }
  let at = c0 + row * p.c_line + col;
  //!if CV == 1
  //!if ACC == 1
  c[at >> 2u] = CT(vec4f(c[at >> 2u]) + value);
  //!else
  c[at >> 2u] = CT(value);
  //!end
  //!else
  for (var e = 0u; e < min(4u, p.n - col); e++) {
    //!if ACC == 1
    c[at + e] = CT(f32(c[at + e]) + value[e]);
    //!else
    c[at + e] = CT(value[e]);
    //!end
  }
  //!end
}
