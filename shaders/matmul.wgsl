// Matrix products in plain WGSL: tiles of 64 by 64, slices of 16 along k staged k-major in workgroup memory (8.5 KiB), 256
// invocations of 4 by 4. Loads past the edges give zero.
//!include lib/matmul.wgsl
//!include lib/edge.wgsl
const PITCH = 17u; // vec4s of a staged line: one more than 64 floats, against bank conflicts
var<workgroup> tile_a: array<vec4f, 272>;
var<workgroup> tile_b: array<vec4f, 272>;

// Values of A at place i of a line, and of the four lines from `line` on: a thread stages whole vec4s of the tile, since two that
// wrote components of one vec4 would race (WGSL lets such a write touch all of it).
fn value_a(at: u32) -> f32 {
  //!if AV == 1
  return f32(a[at >> 2u][at & 3u]);
  //!else
  return f32(a[at]);
  //!end
}

fn across_a(start: u32, line: u32, i: u32) -> vec4f {
  var v = vec4f();
  //!repeat e 0..4
  if (line + e < p.m && i < p.k) { v[e] = value_a(start + (line + e) * p.a_line + i); }
  //!end
  return v;
}

// The same of B, whose lines are columns then.
fn value_b(at: u32) -> f32 {
  //!if BV == 1
  return f32(b[at >> 2u][at & 3u]);
  //!else
  return f32(b[at]);
  //!end
}

fn across_b(start: u32, line: u32, i: u32) -> vec4f {
  var v = vec4f();
  //!repeat e 0..4
  if (line + e < p.n && i < p.k) { v[e] = value_b(start + (line + e) * p.b_line + i); }
  //!end
  return v;
}

// Four values from place i of a line along the rows of C or its columns, zero past the ends.
fn along_a(start: u32, line: u32, i: u32) -> vec4f {
  if (line >= p.k || i >= p.m) { return vec4f(); }
  let at = start + line * p.a_line + i;
  //!if AV == 1
  return vec4f(a[at >> 2u]);
  //!else
  let s = spots(at, p.m - i);
  return inside(vec4f(f32(a[s.x]), f32(a[s.y]), f32(a[s.z]), f32(a[s.w])), p.m - i);
  //!end
}

fn along_b(start: u32, line: u32, i: u32) -> vec4f {
  if (line >= p.k || i >= p.n) { return vec4f(); }
  let at = start + line * p.b_line + i;
  //!if BV == 1
  return vec4f(b[at >> 2u]);
  //!else
  let s = spots(at, p.n - i);
  return inside(vec4f(f32(b[s.x]), f32(b[s.y]), f32(b[s.z]), f32(b[s.w])), p.n - i);
  //!end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let matrix = matrix_of(w.z);
  let row = w.y * 64u;
  let col = w.x * 64u;
  let ty = id / 16u;
  let tx = id % 16u;
  //!repeat i 0..4
  var s_i = vec4f();
  //!end
  for (var t = 0u; t < p.sum; t++) {
    let a0 = start_a(matrix, t);
    let b0 = start_b(matrix, t);
    for (var k0 = 0u; k0 < p.k; k0 += 16u) {
      //!if TA == 1
      tile_a[ty * PITCH + tx] = along_a(a0, k0 + ty, row + tx * 4u);
      //!else
      tile_a[tx * PITCH + ty] = across_a(a0, row + ty * 4u, k0 + tx);
      //!end
      //!if TB == 1
      tile_b[tx * PITCH + ty] = across_b(b0, col + ty * 4u, k0 + tx);
      //!else
      tile_b[ty * PITCH + tx] = along_b(b0, k0 + ty, col + tx * 4u);
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
  let c0 = start_c(matrix);
  let add = bias_at(left);
  //!repeat i 0..4
  store(c0, row + ty * 4u + i, left, s_i + add);
  //!end
}
