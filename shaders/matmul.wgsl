// C = op(A)·op(B) (+ bias of each column) (+ C), batched; op transposes where TA, TB. Plain WGSL: tiles of 64 by 64, slices of
// 16 along k staged k-major in workgroup memory (8.5 KiB), 256 invocations of 4 by 4. Loads past the edges give zero.
// Places of A, B, C: see Place in src/kernels/matmul.ts. AV, BV, CV: vec4 access (lengths, strides, offsets divide by 4).
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
const PITCH = 17u; // vec4s of a staged line: one more than 64 floats, against bank conflicts
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
var<workgroup> tile_a: array<vec4f, 272>;
var<workgroup> tile_b: array<vec4f, 272>;

// Four values from element `at` on, of which `left` are inside their line.
fn load_a(at: u32, left: i32) -> vec4f {
  if (left <= 0) { return vec4f(); }
  //!if AV == 1
  return a[at >> 2u];
  //!else
  var v = vec4f(a[at], 0.0, 0.0, 0.0);
  if (left > 1) { v.y = a[at + 1u]; }
  if (left > 2) { v.z = a[at + 2u]; }
  if (left > 3) { v.w = a[at + 3u]; }
  return v;
  //!end
}

fn load_b(at: u32, left: i32) -> vec4f {
  if (left <= 0) { return vec4f(); }
  //!if BV == 1
  return b[at >> 2u];
  //!else
  var v = vec4f(b[at], 0.0, 0.0, 0.0);
  if (left > 1) { v.y = b[at + 1u]; }
  if (left > 2) { v.z = b[at + 2u]; }
  if (left > 3) { v.w = b[at + 3u]; }
  return v;
  //!end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let outer = w.z / p.inner;
  let inner = w.z % p.inner;
  let row = w.y * 64u;
  let col = w.x * 64u;
  let ty = id / 16u;
  let tx = id % 16u;
  //!repeat i 0..4
  var s_i = vec4f();
  //!end
  for (var t = 0u; t < p.sum; t++) {
    let a0 = p.a_start + outer * p.a_outer + inner * p.a_inner + t * p.a_sum;
    let b0 = p.b_start + outer * p.b_outer + inner * p.b_inner + t * p.b_sum;
    for (var k0 = 0u; k0 < p.k; k0 += 16u) {
      //!if TA == 1
      var va = vec4f();
      if (k0 + ty < p.k) { va = load_a(a0 + (k0 + ty) * p.a_line + row + tx * 4u, i32(p.m) - i32(row + tx * 4u)); }
      tile_a[ty * PITCH + tx] = va;
      //!else
      let ra = id / 4u;
      let ka = id % 4u * 4u;
      var va = vec4f();
      if (row + ra < p.m) { va = load_a(a0 + (row + ra) * p.a_line + k0 + ka, i32(p.k) - i32(k0 + ka)); }
      //!repeat e 0..4
      tile_a[(ka + e) * PITCH + ra / 4u][ra % 4u] = va[e];
      //!end
      //!end
      //!if TB == 1
      let rb = id / 4u;
      let kb = id % 4u * 4u;
      var vb = vec4f();
      if (col + rb < p.n) { vb = load_b(b0 + (col + rb) * p.b_line + k0 + kb, i32(p.k) - i32(k0 + kb)); }
      //!repeat e 0..4
      tile_b[(kb + e) * PITCH + rb / 4u][rb % 4u] = vb[e];
      //!end
      //!else
      var vb = vec4f();
      if (k0 + ty < p.k) { vb = load_b(b0 + (k0 + ty) * p.b_line + col + tx * 4u, i32(p.n) - i32(col + tx * 4u)); }
      tile_b[ty * PITCH + tx] = vb;
      //!end
      workgroupBarrier();
      //!repeat kk 0..16
      {
        let x = tile_a[kk * PITCH + ty];
        let y = tile_b[kk * PITCH + tx];
        //!repeat i 0..4
        s_i = fma(vec4f(x[i]), y, s_i);
        //!end
      }
      //!end
      workgroupBarrier();
    }
  }
  let left = col + tx * 4u;
  if (left >= p.n) { return; }
  let c0 = p.c_start + outer * p.c_outer + inner * p.c_inner + left;
  var add = vec4f();
  //!if BIAS == 1
  //!repeat e 0..4
  add[e] = bias[min(left + e, p.n - 1u)];
  //!end
  //!end
  //!repeat i 0..4
  store(row + ty * 4u + i, left, c0, s_i + add);
  //!end
}

fn store(row: u32, col: u32, c0: u32, value: vec4f) {
  if (row >= p.m) { return; }
  let at = c0 + row * p.c_line;
  //!if CV == 1
  //!if ACC == 1
  c[at >> 2u] += value;
  //!else
  c[at >> 2u] = value;
  //!end
  //!else
  for (var e = 0u; e < min(4u, p.n - col); e++) {
    //!if ACC == 1
    c[at + e] += value[e];
    //!else
    c[at + e] = value[e];
    //!end
  }
  //!end
}
