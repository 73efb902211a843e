// Group norm by a workgroup a group (n, g): `lanes` of its WG lanes share a channel, WG / lanes channels at a time. Beside what
// lib/group-norm.wgsl asks for, the including file defines channel_lanes and team_sum (over a channel's lanes, on every lane; all
// lanes call it).
@compute @workgroup_size(WG)
fn forward(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let group = w.y * wgs.x + w.x;
  if (group >= p.count) { return; }
  let lanes = channel_lanes();
  let per_group = p.channels / p.groups;
  let cells = per_group * p.cells;
  let at = group * cells;
  let m = moments_of(at, cells, lane);
  let mean = m.x;
  let rstd = inverseSqrt(m.y + p.eps);
  if (lane == 0u) { moments[group] = vec2f(mean, rstd); }
  let n = group / p.groups;
  let c0 = group % p.groups * per_group;
  for (var c = lane / lanes; c < per_group; c += WG / lanes) {
    let f = factors(n, c0 + c);
    let scale = f.x * rstd;
    let end = at + (c + 1u) * p.cells;
    for (var e = at + c * p.cells + lane % lanes; e < end; e += lanes) {
      let u = (T(x[e]) - mean) * scale + f.y;
      out[e] = X(u * gate(u));
    }
  }
}

@compute @workgroup_size(WG)
fn backward(
  @builtin(local_invocation_index) lane: u32, @builtin(workgroup_id) w: vec3u, @builtin(num_workgroups) wgs: vec3u,
) {
  let group = w.y * wgs.x + w.x;
  if (group >= p.count) { return; }
  let lanes = channel_lanes();
  let per_group = p.channels / p.groups;
  let at = group * per_group * p.cells;
  let st = stats[group];
  let n = group / p.groups;
  let c0 = group % p.groups * per_group;
  var s = vec2f();
  for (var first = 0u; first < per_group; first += WG / lanes) {
    let c = first + lane / lanes;
    let mine = c < per_group;
    let f = factors(n, c0 + min(c, per_group - 1u));
    var a = T();
    var q = T();
    if (mine) {
      let end = at + (c + 1u) * p.cells;
      for (var e = at + c * p.cells + lane % lanes; e < end; e += lanes) {
        let h = (T(x[e]) - st.x) * st.y;
        let du = slope(e, h, f);
        a += du;
        q += du * h;
      }
    }
    let t = team_sum(vec2f(across(q), across(a)), lane);
    if (mine && lane % lanes == 0u) {
      sums[n * p.channels + c0 + c] = t;
      s += f.x * t;
    }
  }
  s = group_sum(s, lane) / f32(per_group * p.cells * V);
  for (var c = lane / lanes; c < per_group; c += WG / lanes) {
    let gain = factors(n, c0 + c).x;
    let end = at + (c + 1u) * p.cells;
    for (var e = at + c * p.cells + lane % lanes; e < end; e += lanes) {
      out[e] = X(st.y * (gain * T(out[e]) - s.y - (T(x[e]) - st.x) * st.y * s.x));
    }
  }
}
