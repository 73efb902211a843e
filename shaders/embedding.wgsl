// Rows by number: forward  out[o, k, :] = x[o, indices[k], :], zeros where the number is out of range;
//                 backward out[o, a, :] = sum over the k with indices[k] == a, in order, of dy[o, k, :].
// x: f32[outer, rows, inner]; indices: u32[count] (i32: negative ones are out of range). A cell is T: four values where 4
// divides inner; `inner` counts cells. A thread a cell of the result. Moves 8 bytes a value.
const WG = 64u;
alias T = vec4f; //!param
struct Params { outer: u32, rows: u32, inner: u32, count: u32 }
@group(0) @binding(0) var<storage, read> table: array<T>;
@group(0) @binding(1) var<storage, read> indices: array<u32>;
@group(0) @binding(2) var<storage, read> dy: array<T>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.count * p.inner) { return; }
  let row = indices[i / p.inner % p.count];
  var v = T();
  if (row < p.rows) { v = table[(i / (p.inner * p.count) * p.rows + row) * p.inner + i % p.inner]; }
  out[i] = v;
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.rows * p.inner) { return; }
  let row = i / p.inner % p.rows;
  let at = i / (p.inner * p.rows) * p.count * p.inner + i % p.inner;
  var v = T();
  for (var k = 0u; k < p.count; k++) {
    if (indices[k] == row) { v += dy[at + k * p.inner]; }
  }
  out[i] = v;
}
