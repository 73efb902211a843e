// Softmax of lines of `length` values, `stride` apart: y = exp(x − m)/Σ exp(x − m), m the line's maximum; LOG: its logarithm.
// Gradient: dx = y·(dy − Σ y·dy); LOG: dx = dy − exp(y)·Σ dy. Line j starts at (j / stride)·length·stride + j % stride.
// lines_*: one line an invocation, any stride. rows_*: one line (stride 1) a workgroup. x, y, dy, out: f32, x = source,
// y = result. Moves 16n (forward: three reads) or 20n bytes (backward: y and dy twice), mostly from caches.
const WG = 64u;
const LOG = 0u; //!param
struct Params { lines: u32, length: u32, stride: u32 }
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> result: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;
var<workgroup> partial: array<f32, WG>;

fn value(shifted: f32, total: f32) -> f32 {
  //!if LOG == 1
  return shifted - log(total);
  //!else
  return exp(shifted) / total;
  //!end
}

fn summand(at: u32) -> f32 {
  //!if LOG == 1
  return dy[at];
  //!else
  return result[at] * dy[at];
  //!end
}

fn slope(at: u32, total: f32) -> f32 {
  //!if LOG == 1
  return dy[at] - exp(result[at]) * total;
  //!else
  return result[at] * (dy[at] - total);
  //!end
}

@compute @workgroup_size(WG)
fn lines_forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let line = id.y * wgs.x * WG + id.x;
  if (line >= p.lines) { return; }
  let first = line / p.stride * p.length * p.stride + line % p.stride;
  var top = source[first];
  for (var i = 1u; i < p.length; i++) { top = max(top, source[first + i * p.stride]); }
  var total = 0.0;
  for (var i = 0u; i < p.length; i++) { total += exp(source[first + i * p.stride] - top); }
  for (var i = 0u; i < p.length; i++) { out[first + i * p.stride] = value(source[first + i * p.stride] - top, total); }
}

@compute @workgroup_size(WG)
fn lines_backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let line = id.y * wgs.x * WG + id.x;
  if (line >= p.lines) { return; }
  let first = line / p.stride * p.length * p.stride + line % p.stride;
  var total = 0.0;
  for (var i = 0u; i < p.length; i++) { total += summand(first + i * p.stride); }
  for (var i = 0u; i < p.length; i++) { out[first + i * p.stride] = slope(first + i * p.stride, total); }
}

fn total_of(lane: u32, mine: f32) -> f32 {
  partial[lane] = mine;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] += partial[lane + half]; }
    workgroupBarrier();
  }
  return partial[0];
}

fn top_of(lane: u32, mine: f32) -> f32 {
  partial[lane] = mine;
  workgroupBarrier();
  for (var half = WG / 2u; half > 0u; half /= 2u) {
    if (lane < half) { partial[lane] = max(partial[lane], partial[lane + half]); }
    workgroupBarrier();
  }
  let top = partial[0];
  workgroupBarrier();
  return top;
}

@compute @workgroup_size(WG)
fn rows_forward(@builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = w.y * wgs.x + w.x;
  if (line >= p.lines) { return; }
  let first = line * p.length;
  var most = source[first];
  for (var i = lane; i < p.length; i += WG) { most = max(most, source[first + i]); }
  let top = top_of(lane, most);
  var sum = 0.0;
  for (var i = lane; i < p.length; i += WG) { sum += exp(source[first + i] - top); }
  let total = total_of(lane, sum);
  for (var i = lane; i < p.length; i += WG) { out[first + i] = value(source[first + i] - top, total); }
}

@compute @workgroup_size(WG)
fn rows_backward(@builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) lane: u32) {
  let line = w.y * wgs.x + w.x;
  if (line >= p.lines) { return; }
  let first = line * p.length;
  var sum = 0.0;
  for (var i = lane; i < p.length; i += WG) { sum += summand(first + i); }
  let total = total_of(lane, sum);
  for (var i = lane; i < p.length; i += WG) { out[first + i] = slope(first + i, total); }
}
