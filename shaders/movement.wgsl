// Moves elements of T (E, that is f32 or f16, or four of them) by strides; axis 0 is the innermost, sizes of absent axes are 1.
// gather:  out[i] = x[start + sum_d i_d * s_d]                 (permute, slice, broadcast)
// scatter: out[start + sum_d i_d * s_d] = x[i]                 (a part of a concatenation)
// pad:     out[i] = x[sum_d (i_d - b_d) / e_d * s_d], or fill where i_d - b_d is no multiple of e_d below l_d * e_d
// PER elements in a row an invocation. Moves 8n bytes.
const WG = 64u;
const PER = 1u; //!param
const RANK = 6u; //!param
alias E = f32; //!param
alias T = E; //!param
struct Params {
  n: u32, start: u32,
  n0: u32, n1: u32, n2: u32, n3: u32, n4: u32, n5: u32,
  s0: u32, s1: u32, s2: u32, s3: u32, s4: u32, s5: u32,
}
struct Pads {
  n: u32, fill: f32,
  n0: u32, n1: u32, n2: u32, n3: u32, n4: u32, n5: u32,
  s0: u32, s1: u32, s2: u32, s3: u32, s4: u32, s5: u32,
  b0: u32, b1: u32, b2: u32, b3: u32, b4: u32, b5: u32,
  e0: u32, e1: u32, e2: u32, e3: u32, e4: u32, e5: u32,
  l0: u32, l1: u32, l2: u32, l3: u32, l4: u32, l5: u32,
}
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> p: Params;
@group(0) @binding(3) var<uniform> q: Pads;

fn place(i: u32) -> u32 {
  var rest = i;
  var at = p.start + rest % p.n0 * p.s0;
  //!if RANK > 1
  rest /= p.n0;
  at += rest % p.n1 * p.s1;
  //!end
  //!if RANK > 2
  rest /= p.n1;
  at += rest % p.n2 * p.s2;
  //!end
  //!if RANK > 3
  rest /= p.n2;
  at += rest % p.n3 * p.s3;
  //!end
  //!if RANK > 4
  rest /= p.n3;
  at += rest % p.n4 * p.s4;
  //!end
  //!if RANK > 5
  rest /= p.n4;
  at += rest * p.s5;
  //!end
  return at;
}

@compute @workgroup_size(WG)
fn gather(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) { out[i] = x[place(i)]; }
}

@compute @workgroup_size(WG)
fn scatter(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) { out[place(i)] = x[i]; }
}

struct Source { inside: bool, at: u32 }
fn along(s: Source, i: u32, before: u32, every: u32, limit: u32, stride: u32) -> Source {
  let k = (i - before) / every;
  return Source(s.inside && i >= before && (i - before) % every == 0u && k < limit, s.at + k * stride);
}

fn source(i: u32) -> Source {
  var rest = i;
  var s = along(Source(true, 0u), rest % q.n0, q.b0, q.e0, q.l0, q.s0);
  //!if RANK > 1
  rest /= q.n0;
  s = along(s, rest % q.n1, q.b1, q.e1, q.l1, q.s1);
  //!end
  //!if RANK > 2
  rest /= q.n1;
  s = along(s, rest % q.n2, q.b2, q.e2, q.l2, q.s2);
  //!end
  //!if RANK > 3
  rest /= q.n2;
  s = along(s, rest % q.n3, q.b3, q.e3, q.l3, q.s3);
  //!end
  //!if RANK > 4
  rest /= q.n3;
  s = along(s, rest % q.n4, q.b4, q.e4, q.l4, q.s4);
  //!end
  //!if RANK > 5
  rest /= q.n4;
  s = along(s, rest, q.b5, q.e5, q.l5, q.s5);
  //!end
  return s;
}

@compute @workgroup_size(WG)
fn pad(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, q.n); i++) {
    let s = source(i);
    if (s.inside) { out[i] = x[s.at]; } else { out[i] = T(E(q.fill)); }
  }
}
