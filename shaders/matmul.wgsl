// Matrix products in plain WGSL: tiles of 64 by 64, slices of 16 along k staged k-major in workgroup memory (8.5 KiB), 256
// invocations of 4 by 4. Loads past the edges give zero.
//!include lib/matmul.wgsl
//!include lib/edge.wgsl
const PITCH = 17u; // vec4s of a staged line: one more than 64 floats, against bank conflicts
var<workgroup> tile_a: array<vec4f, 272>;
var<workgroup> tile_b: array<vec4f, 272>;

// Four values from place i of a line of A or B on, zero past the ends; `size`: lines, and the length of one.
fn load_a(start: u32, line: u32, i: u32) -> vec4f {
  let size = select(vec2u(p.m, p.k), vec2u(p.k, p.m), TA == 1u);
  if (line >= size.x || i >= size.y) { return vec4f(); }
  let at = start + line * p.a_line + i;
  //!if AV == 1
  return vec4f(a[at >> 2u]);
  //!else
  let s = spots(at, size.y - i);
  return inside(vec4f(f32(a[s.x]), f32(a[s.y]), f32(a[s.z]), f32(a[s.w])), size.y - i);
  //!end
}

fn load_b(start: u32, line: u32, i: u32) -> vec4f {
  let size = select(vec2u(p.k, p.n), vec2u(p.n, p.k), TB == 1u);
  if (line >= size.x || i >= size.y) { return vec4f(); }
  let at = start + line * p.b_line + i;
  //!if BV == 1
  return vec4f(b[at >> 2u]);
  //!else
  let s = spots(at, size.y - i);
  return inside(vec4f(f32(b[s.x]), f32(b[s.y]), f32(b[s.z]), f32(b[s.w])), size.y - i);
  //!end
}

@compute @workgroup_size(256)
fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let matrix = matrix_of(w.z);
  let row = w.y * 64u;
  let col = w.x * 64u;
  let ty = id / 16u;
  let tx = id % 16u;
  let line = id / 4u; // of an operand whose lines lie along k, and the first of four k in it
  let along = id % 4u * 4u;
  //!repeat i 0..4
  var s_i = vec4f();
  //!end
  for (var t = 0u; t < p.sum; t++) {
    let a0 = start_a(matrix, t);
    let b0 = start_b(matrix, t);
    for (var k0 = 0u; k0 < p.k; k0 += 16u) {
      //!if TA == 1
      tile_a[ty * PITCH + tx] = load_a(a0, k0 + ty, row + tx * 4u);
      //!else
      let va = load_a(a0, row + line, k0 + along);
      //!repeat e 0..4
      tile_a[(along + e) * PITCH + line / 4u][line % 4u] = va[e];
      //!end
      //!end
      //!if TB == 1
      let vb = load_b(b0, col + line, k0 + along);
      //!repeat e 0..4
      tile_b[(along + e) * PITCH + line / 4u][line % 4u] = vb[e];
      //!end
      //!else
      tile_b[ty * PITCH + tx] = load_b(b0, k0 + ty, col + tx * 4u);
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
