enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// Convolution of f16 features and weights as an implicit matrix product through subgroup matrices, as conv2d.wgsl's maps:
//   pack:    packed[tap][o][c / 4] = w of that channel and tap, zero past the last c
//   forward: out[n,o,y,x] = bias[o] + sum over c,i,j of w[o,c,i,j] x[n,c,y STRIDE + i - padY, x STRIDE + j - padX] + residual[n,o,y,x]
// Rows are channels o, columns pixels. k runs tap by tap over channels padded to KS, so that a slice of it lies in one tap: a lane
// stages numbers of its one pixel, whose place it works out once a slice. Few tiles leave a GPU idle: k is cut into slices then,
// whose sums go to out[z] as Y = f32 (conv2d.slices.wgsl adds them up).
const KH = 3u; //!param
const KW = 3u; //!param
const STRIDE = 1u; //!param
alias Y = f16; //!param
const T = KH * KW;
struct Params { n: u32, c: u32, h: u32, w: u32, o: u32, oh: u32, ow: u32, padY: u32, padX: u32, biased: u32, slice: u32, slices: u32, added: u32 }
@group(0) @binding(0) var<storage, read> input: array<f16>;
@group(0) @binding(1) var<storage, read> packed: array<vec4h>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<Y>;
@group(0) @binding(4) var<uniform> p: Params;
@group(0) @binding(5) var<storage, read_write> packing: array<vec4h>;
@group(0) @binding(6) var<storage, read> residual: array<Y>;
var<private> m0: u32;
var<private> n0: u32;
// The lane's column: its image, and its pixel's row and column in the input but for the tap.
var<private> image: u32;
var<private> top: u32;
var<private> side: u32;
var<private> into: u32;
// Of the slice of k that is staged next: its tap, and its first channel.
var<private> tap: u32;
var<private> c0: u32;
//!include lib/matrix.wgsl

// A thread packs sixteen taps, which lie side by side in w: the cache serves all but the first.
@compute @workgroup_size(64)
fn pack(@builtin(global_invocation_id) id: vec3u) {
  let quads = (p.c + 3u) / 4u;
  if (id.x >= quads) { return; }
  for (var t = id.z * 16u; t < min(T, id.z * 16u + 16u); t++) {
    var v = vec4h();
    for (var e = 0u; e < min(4u, p.c - id.x * 4u); e++) { v[e] = input[(id.y * p.c + id.x * 4u + e) * T + t]; }
    packing[(t * p.o + id.y) * quads + id.x] = v;
  }
}

/** Slices of KS that a tap has. */
fn steps() -> u32 { return (p.c + KS - 1u) / KS; }

fn stage(l: u32, k0: u32) {
  let quads = (p.c + 3u) / 4u;
  for (var x = l; x < 64u * KS / 4u; x += WG) {
    let row = x / (KS / 4u);
    let k = x % (KS / 4u) * 4u;
    var a = vec4h();
    if (m0 + row < p.o && c0 + k < p.c) { a = packed[(tap * p.o + m0 + row) * quads + (c0 + k) / 4u]; }
    for (var e = 0u; e < 4u; e++) { left[row * LP + k + e] = a[e]; }
  }
  // Below zero these wrap and fail the comparison.
  let y = top + tap / KW;
  let x = side + tap % KW;
  let inside = image < p.n && y < p.h && x < p.w;
  let size = p.h * p.w;
  let at = image * p.c * size + y * p.w + x;
  for (var k = l / 64u; k < KS; k += WG / 64u) {
    var b = f16();
    if (inside && c0 + k < p.c) { b = input[at + (c0 + k) * size]; }
    right[k * RP + l % 64u] = b;
  }
  c0 += KS;
  if (c0 >= p.c) {
    c0 = 0u;
    tap++;
  }
}

fn put(row: u32, column: u32, value: f32) {
  let o = m0 + row;
  let pixel = n0 + column;
  let plane = p.oh * p.ow;
  if (o >= p.o || pixel >= p.n * plane) { return; }
  let at = (pixel / plane * p.o + o) * plane + pixel % plane;
  var v = value;
  if (p.biased > 0u && p.slices == 1u) { v += bias[o]; }
  if (p.added > 0u && p.slices == 1u) { v += f32(residual[at]); }
  out[into + at] = Y(v);
}

@compute @workgroup_size(WG)
fn forward(
  @builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u,
  @builtin(local_invocation_index) l: u32, @builtin(subgroup_id) subgroup: u32,
) {
  let sliced = p.slices > 1u;
  let plane = p.oh * p.ow;
  m0 = wg.y * 64u;
  n0 = (select(wg.z, 0u, sliced) * wgs.x + wg.x) * 64u;
  into = select(0u, wg.z * p.n * p.o * plane, sliced);
  let pixel = n0 + l % 64u;
  image = pixel / plane;
  top = pixel % plane / p.ow * STRIDE - p.padY;
  side = pixel % p.ow * STRIDE - p.padX;
  let depth = T * steps() * KS;
  let first = select(0u, wg.z * p.slice, sliced);
  tap = first / KS / steps();
  c0 = first / KS % steps() * KS;
  tile(l, subgroup, first, select(depth, min(depth, first + p.slice), sliced));
}
