enable f16;
enable subgroups;
enable chromium_experimental_subgroup_matrix;
diagnostic(off, chromium.subgroup_matrix_uniformity);
// Matrix products of f16 operands through subgroup matrices; places of A, B, C as in lib/matmul.wgsl. One summand a matrix.
//!include lib/matmul.wgsl
var<private> a0: u32;
var<private> b0: u32;
var<private> c0: u32;
var<private> m0: u32;
var<private> n0: u32;
//!include lib/matrix.wgsl

// left[row][k .. k + 3] of the tile and right[k][column .. column + 3], zero past the ends.
fn stage_left(row: u32, k: u32) -> vec4h {
  var v = vec4h();
  if (m0 + row >= p.m) { return v; }
  for (var e = 0u; e < 4u; e++) {
    //!if TA == 1
    if (k + e < p.k) { v[e] = f16(a[a0 + (k + e) * p.a_line + m0 + row]); }
    //!else
    if (k + e < p.k) { v[e] = f16(a[a0 + (m0 + row) * p.a_line + k + e]); }
    //!end
  }
  return v;
}

fn stage_right(k: u32, column: u32) -> vec4h {
  var v = vec4h();
  if (k >= p.k) { return v; }
  for (var e = 0u; e < 4u; e++) {
    let n = n0 + column + e;
    //!if TB == 1
    if (n < p.n) { v[e] = f16(b[b0 + n * p.b_line + k]); }
    //!else
    if (n < p.n) { v[e] = f16(b[b0 + k * p.b_line + n]); }
    //!end
  }
  return v;
}

fn stage(l: u32, k0: u32) {
  for (var x = l; x < 64u * KS / 4u; x += WG) {
    let a = stage_left(x / (KS / 4u), k0 + x % (KS / 4u) * 4u);
    let to_left = x / (KS / 4u) * LP + x % (KS / 4u) * 4u;
    let b = stage_right(k0 + x / 16u, x % 16u * 4u);
    let to_right = x / 16u * RP + x % 16u * 4u;
    for (var e = 0u; e < 4u; e++) {
      left[to_left + e] = a[e];
      right[to_right + e] = b[e];
    }
  }
}

fn put(row: u32, column: u32, value: f32) {
  if (m0 + row >= p.m || n0 + column >= p.n) { return; }
  let at = c0 + (m0 + row) * p.c_line + n0 + column;
  //!if BIAS == 1
  let sum = value + bias[n0 + column];
  //!else
  let sum = value;
  //!end
  //!if ACC == 1
  c[at] = CT(f32(c[at]) + sum);
  //!else
  c[at] = CT(sum);
  //!end
}

@compute @workgroup_size(WG)
fn main(
  @builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) l: u32, @builtin(subgroup_id) subgroup: u32,
) {
  let matrix = matrix_of(w.z);
  a0 = start_a(matrix, 0u);
  b0 = start_b(matrix, 0u);
  c0 = start_c(matrix);
  m0 = w.y * 64u;
  n0 = w.x * 64u;
  tile(l, subgroup, 0u, p.k);
}
