// Attention in plain WGSL, for any d and t.
// forward: 64 queries a workgroup, one an invocation, which keeps O sums of out in registers (past d: of zeros); more channels
//   take more workgroups along x. Tiles of 32 keys and values in workgroup memory (≤ 10 KiB).
const O = 32u; //!param
alias Row = f32;
alias Out = f32; //!param
//!include lib/attention.wgsl
//!include lib/edge.wgsl
var<workgroup> keys: array<vec4f, 128>;
var<workgroup> values: array<vec4f, O * 8u>;

// Four tokens from `token` on of channel `i` of the part that starts at `start`; zero past the ends.
fn tokens_qkv(start: u32, i: u32, token: u32) -> vec4f {
  if (i >= p.d || token >= p.t) { return vec4f(); }
  let at = start + i * p.t + token;
  //!if V == 1
  return vec4f(qkv[at >> 2u]);
  //!else
  let s = spots(at, p.t - token);
  return inside(vec4f(f32(qkv[s.x]), f32(qkv[s.y]), f32(qkv[s.z]), f32(qkv[s.w])), p.t - token);
  //!end
}

fn query(at: u32) -> f32 {
  //!if V == 1
  return f32(qkv[at >> 2u][at & 3u]);
  //!else
  return f32(qkv[at]);
  //!end
}

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let at = head_at(w.z, w.y);
  let blocks = (p.t + 63u) / 64u;
  let mine = w.x % blocks * 64u + id;
  let channel = w.x / blocks * O;
  let query_at = at.q + min(mine, p.t - 1u);
  var top = -1e30;
  var total = 0.0;
  //!repeat i 0..O
  var o_i = 0.0;
  //!end
  for (var c = 0u; c < p.t; c += 32u) {
    //!repeat g 0..8
    var s_g = vec4f();
    //!end
    for (var i0 = 0u; i0 < p.d; i0 += 16u) {
      workgroupBarrier();
      //!repeat u 0..2
      keys[u * 64u + id] = tokens_qkv(at.k, i0 + u * 8u + id / 8u, c + id % 8u * 4u);
      //!end
      workgroupBarrier();
      for (var i = 0u; i < min(16u, p.d - i0); i++) {
        let q = query(query_at + (i0 + i) * p.t) * p.scale;
        //!repeat g 0..8
        s_g = fma(vec4f(q), keys[i * 8u + g], s_g);
        //!end
      }
    }
    if (c + 32u > p.t) {
      //!repeat g 0..8
      s_g = select(vec4f(-1e30), s_g, c + g * 4u + vec4u(0u, 1u, 2u, 3u) < vec4u(p.t));
      //!end
    }
    let most = max(max(max(s_0, s_1), max(s_2, s_3)), max(max(s_4, s_5), max(s_6, s_7)));
    let before = top;
    top = max(max(top, max(most.x, most.y)), max(most.z, most.w));
    let keep = exp(before - top);
    //!repeat g 0..8
    s_g = exp(s_g - top);
    //!end
    total = total * keep + dot(((s_0 + s_1) + (s_2 + s_3)) + ((s_4 + s_5) + (s_6 + s_7)), vec4f(1.0));
    for (var x = id; x < O * 8u; x += 64u) {
      values[x] = tokens_qkv(at.v, channel + x / 8u, c + x % 8u * 4u);
    }
    workgroupBarrier();
    //!repeat i 0..O
    o_i *= keep;
    //!repeat g 0..8
    o_i += dot(s_g, values[i * 8u + g]);
    //!end
    //!end
  }
  if (mine >= p.t) { return; }
  if (channel == 0u) { lse_out[at.queries + mine] = top + log(total); }
  //!repeat i 0..O
  if (channel + i < p.d) { out[at.y + (channel + i) * p.t + mine] = Out(o_i / total); }
  //!end
}
