enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// Convolution of f16 features and weights as an implicit matrix product through subgroup matrices, as conv2d.wgsl's forward:
//   out[n,o,y,x] = bias[o] + sum over c,i,j of w[o,c,i,j] x[n,c,y STRIDE + i - padY, x STRIDE + j - padX]
// Rows are channels o, columns pixels, k runs over (c, i, j). VEC: the sums' length divides by 4.
const KH = 3u; //!param
const KW = 3u; //!param
const STRIDE = 1u; //!param
const VEC = 1u; //!param
alias W = vec4h; //!param
const T = KH * KW;
struct Params { n: u32, c: u32, h: u32, w: u32, o: u32, oh: u32, ow: u32, padY: u32, padX: u32, biased: u32 }
@group(0) @binding(0) var<storage, read> input: array<f16>;
@group(0) @binding(1) var<storage, read> weights: array<W>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f16>;
@group(0) @binding(4) var<uniform> p: Params;
var<private> m0: u32;
var<private> n0: u32;
//!include lib/matrix.wgsl

fn depth() -> u32 { return p.c * T; }

fn stage_left(row: u32, k: u32) -> vec4h {
  var v = vec4h();
  if (m0 + row >= p.o || k >= depth()) { return v; }
  let at = (m0 + row) * depth() + k;
  //!if VEC == 1
  v = weights[at / 4u];
  //!else
  for (var e = 0u; e < min(4u, depth() - k); e++) { v[e] = weights[at + e]; }
  //!end
  return v;
}

fn stage_right(k: u32, column: u32) -> vec4h {
  var v = vec4h();
  if (k >= depth()) { return v; }
  let plane = p.oh * p.ow;
  let dy = k % T / KW - p.padY;
  let dx = k % KW - p.padX;
  for (var e = 0u; e < 4u; e++) {
    let pixel = n0 + column + e;
    let image = pixel / plane;
    // Below zero these wrap and fail the comparison.
    let y = pixel % plane / p.ow * STRIDE + dy;
    let x = pixel % p.ow * STRIDE + dx;
    if (image < p.n && y < p.h && x < p.w) { v[e] = input[((image * p.c + k / T) * p.h + y) * p.w + x]; }
  }
  return v;
}

fn put(row: u32, column: u32, value: f32) {
  let o = m0 + row;
  let pixel = n0 + column;
  let plane = p.oh * p.ow;
  if (o >= p.o || pixel >= p.n * plane) { return; }
  let b = select(0.0, bias[o * p.biased], p.biased > 0u);
  out[(pixel / plane * p.o + o) * plane + pixel % plane] = f16(value + b);
}

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u,
  @builtin(local_invocation_index) l: u32, @builtin(subgroup_id) subgroup: u32,
) {
  m0 = wg.y * 64u;
  n0 = (wg.z * wgs.x + wg.x) * 64u;
  tile(l, subgroup);
}
