enable f16;
// probs[line] = softmax(scale · scores[line]) in f16, a line a workgroup: between the two products of attention through subgroup
// matrices. Moves 14 bytes an element (scores three times, mostly from caches).
const WG = 64u;
struct Params { lines: u32, length: u32, scale: f32 }
@group(0) @binding(0) var<storage, read> scores: array<f32>;
@group(0) @binding(1) var<storage, read_write> probs: array<f16>;
@group(0) @binding(2) var<uniform> p: Params;
var<workgroup> partial: array<f32, WG>;

@compute @workgroup_size(WG)
fn softmax(@builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) l: u32) {
  let line = w.y * wgs.x + w.x;
  if (line >= p.lines) { return; }
  let first = line * p.length;
  var top = -3.0e38;
  for (var i = l; i < p.length; i += WG) { top = max(top, scores[first + i]); }
  partial[l] = top;
  workgroupBarrier();
  for (var s = WG / 2u; s > 0u; s /= 2u) {
    if (l < s) { partial[l] = max(partial[l], partial[l + s]); }
    workgroupBarrier();
  }
  top = partial[0] * p.scale;
  workgroupBarrier();
  var total = 0.0;
  for (var i = l; i < p.length; i += WG) { total += exp(scores[first + i] * p.scale - top); }
  partial[l] = total;
  workgroupBarrier();
  for (var s = WG / 2u; s > 0u; s /= 2u) {
    if (l < s) { partial[l] += partial[l + s]; }
    workgroupBarrier();
  }
  total = partial[0];
  for (var i = l; i < p.length; i += WG) { probs[first + i] = f16(exp(scores[first + i] * p.scale - top) / total); }
}
