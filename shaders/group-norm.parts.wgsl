// Group norm of large groups on GPUs: a workgroup a part of a channel, two launches each way. A workgroup a group leaves most of a
// GPU idle where groups are few and large: 32 of ADM's at side 256, of eight channels each, for the 132 processors of an H100.
//   measure:  partial_out[n, c, part] = (mean, sum of squares about it, count)
//   apply:    those of a group merged (Chan, Golub & LeVeque 1983), then the normalised values of one part
//   slopes:   out = du, partial_out[n, c, part] = (sum of du*h, sum of du)
//   finish:   the gradient of one part from the group's sums; sums[n, c] as in lib/group-norm.wgsl
const WG = 256u;
//!include lib/group-norm.wgsl
//!include lib/group-norm-tree.wgsl
@group(0) @binding(10) var<storage, read> partial_in: array<vec4f>;
@group(0) @binding(11) var<storage, read_write> partial_out: array<vec4f>;

// What a workgroup works on: channel n*channels + c, its cells first .. end - 1, and the channels of its group from `start` on.
struct Part { index: u32, channel: u32, first: u32, end: u32, n: u32, c: u32, start: u32, per_group: u32 }
fn part_of(index: u32) -> Part {
  let channel = index / p.parts;
  let length = (p.cells + p.parts - 1u) / p.parts;
  let first = min(index % p.parts * length, p.cells);
  let per_group = p.channels / p.groups;
  let at = channel * p.cells;
  return Part(
    index, channel, at + first, at + min(first + length, p.cells),
    channel / p.channels, channel % p.channels, channel / per_group * per_group, per_group,
  );
}

fn total() -> u32 { return p.count * (p.channels / p.groups) * p.parts; }

@compute @workgroup_size(WG)
fn measure(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let index = w.y * wgs.x + w.x;
  if (index >= total()) { return; }
  let part = part_of(index);
  let size = f32((part.end - part.first) * V);
  let m = moments_of(part.first, part.end - part.first, lane);
  if (lane == 0u) { partial_out[index] = vec4f(m.x, m.y * size, size, 0.0); }
}

@compute @workgroup_size(WG)
fn apply(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let index = w.y * wgs.x + w.x;
  if (index >= total()) { return; }
  let part = part_of(index);
  let origin = part.start * p.parts;
  let count = part.per_group * p.parts;
  let size = f32(part.per_group * p.cells * V);
  var s = 0.0;
  for (var i = lane; i < count; i += WG) { s += partial_in[origin + i].x * partial_in[origin + i].z; }
  let mean = group_sum(vec2f(s, 0.0), lane).x / size;
  s = 0.0;
  for (var i = lane; i < count; i += WG) {
    let m = partial_in[origin + i];
    s += m.y + m.z * (m.x - mean) * (m.x - mean);
  }
  let rstd = inverseSqrt(group_sum(vec2f(s, 0.0), lane).x / size + p.eps);
  if (lane == 0u && index == origin) { moments[part.channel / part.per_group] = vec2f(mean, rstd); }
  let f = factors(part.n, part.c);
  for (var e = part.first + lane; e < part.end; e += WG) {
    let u = (T(x[e]) - mean) * (f.x * rstd) + f.y;
    out[e] = X(u * gate(u));
  }
}

@compute @workgroup_size(WG)
fn slopes(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let index = w.y * wgs.x + w.x;
  if (index >= total()) { return; }
  let part = part_of(index);
  let st = stats[part.channel / part.per_group];
  let f = factors(part.n, part.c);
  var a = T();
  var q = T();
  for (var e = part.first + lane; e < part.end; e += WG) {
    let h = (T(x[e]) - st.x) * st.y;
    let du = slope(e, h, f);
    a += du;
    q += du * h;
  }
  let t = group_sum(vec2f(across(q), across(a)), lane);
  if (lane == 0u) { partial_out[index] = vec4f(t, 0.0, 0.0); }
}

@compute @workgroup_size(WG)
fn finish(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let index = w.y * wgs.x + w.x;
  if (index >= total()) { return; }
  let part = part_of(index);
  let st = stats[part.channel / part.per_group];
  var s = vec2f();
  for (var i = lane; i < part.per_group * p.parts; i += WG) {
    let c = part.c / part.per_group * part.per_group + i / p.parts;
    s += factors(part.n, c).x * partial_in[part.start * p.parts + i].xy;
  }
  s = group_sum(s, lane) / f32(part.per_group * p.cells * V);
  if (lane == 0u && index % p.parts == 0u) {
    var mine = vec2f();
    for (var i = 0u; i < p.parts; i++) { mine += partial_in[index + i].xy; }
    sums[part.channel] = mine;
  }
  let gain = factors(part.n, part.c).x;
  for (var e = part.first + lane; e < part.end; e += WG) {
    out[e] = X(st.y * (gain * T(out[e]) - s.y - (T(x[e]) - st.x) * st.y * s.x));
  }
}
