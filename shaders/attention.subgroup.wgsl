enable subgroups;
// Attention for software adapters: a workgroup is one subgroup of SG lanes. A lane owns four adjacent tokens as one vec4, so
// that softmax needs no other lane; the other side's values are loaded once, as vec4s spread over the lanes, KT tokens a tile,
// and reach all lanes by broadcast. The running sums of forward are kept in out, no t×t matrix exists.
const SG = 8u; //!param
const KT = 32u; //!param
alias Row = T;
alias Out = T;
//!include lib/attention.wgsl

// Four tokens from `token` on of the line that starts at `line`; past the end the last ones.
//!if V == 1
fn tokens_qkv(line: u32, token: u32) -> vec4f { return vec4f(qkv[(line + min(token, p.t - 4u)) >> 2u]); }
fn tokens_out(line: u32, token: u32) -> vec4f { return out[(line + min(token, p.t - 4u)) >> 2u]; }
//!else
fn spots(line: u32, token: u32) -> vec4u { return line + min(vec4u(token) + vec4u(0u, 1u, 2u, 3u), vec4u(p.t - 1u)); }
fn tokens_qkv(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(f32(qkv[i.x]), f32(qkv[i.y]), f32(qkv[i.z]), f32(qkv[i.w])); }
fn tokens_out(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(out[i.x], out[i.y], out[i.z], out[i.w]); }
//!end

fn put_out(line: u32, token: u32, value: vec4f) {
  //!if V == 1
  if (token < p.t) { out[(line + token) >> 2u] = value; }
  //!else
  for (var e = 0u; e < 4u; e++) { if (token + e < p.t) { out[line + token + e] = value[e]; } }
  //!end
}

fn put_lse(line: u32, token: u32, value: vec4f) {
  //!if V == 1
  if (token < p.t) { lse_out[(line + token) >> 2u] = value; }
  //!else
  for (var e = 0u; e < 4u; e++) { if (token + e < p.t) { lse_out[line + token + e] = value[e]; } }
  //!end
}

@compute @workgroup_size(SG)
fn forward(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) lane: u32) {
  let at = head_at(w.z, w.y);
  let mine = (w.x * SG + lane) * 4u;
  var top = vec4f(-1e30);
  var total = vec4f();
  for (var c = 0u; c < p.t; c += KT) {
    //!repeat u 0..KT/(4*SG)
    //!repeat g 0..SG
    //!repeat e 0..4
    var s_u_g_e = vec4f();
    //!end
    //!end
    //!end
    for (var i = 0u; i < p.d; i++) {
      let q = tokens_qkv(at.q + i * p.t, mine) * p.scale;
      //!repeat u 0..KT/(4*SG)
      let k_u = tokens_qkv(at.k + i * p.t, c + (u * SG + lane) * 4u);
      //!repeat g 0..SG
      //!repeat e 0..4
      s_u_g_e = fma(vec4f(subgroupBroadcast(k_u[e], g)), q, s_u_g_e);
      //!end
      //!end
      //!end
    }
    if (c + KT > p.t) {
      //!repeat u 0..KT/(4*SG)
      //!repeat g 0..SG
      //!repeat e 0..4
      if (c + (u * SG + g) * 4u + e >= p.t) { s_u_g_e = vec4f(-1e30); }
      //!end
      //!end
      //!end
    }
    let before = top;
    //!repeat u 0..KT/(4*SG)
    //!repeat g 0..SG
    top = max(top, max(max(s_u_g_0, s_u_g_1), max(s_u_g_2, s_u_g_3)));
    //!end
    //!end
    let keep = exp(before - top);
    total *= keep;
    //!repeat u 0..KT/(4*SG)
    //!repeat g 0..SG
    //!repeat e 0..4
    s_u_g_e = exp(s_u_g_e - top);
    //!end
    total += (s_u_g_0 + s_u_g_1) + (s_u_g_2 + s_u_g_3);
    //!end
    //!end
    var finish = vec4f(1.0);
    if (c + KT >= p.t) { finish = 1.0 / total; }
    for (var i = 0u; i < p.d; i++) {
      //!repeat u 0..KT/(4*SG)
      let v_u = tokens_qkv(at.v + i * p.t, c + (u * SG + lane) * 4u);
      //!end
      var o = vec4f();
      if (c > 0u) { o = tokens_out(at.y + i * p.t, mine) * keep; }
      //!repeat u 0..KT/(4*SG)
      //!repeat g 0..SG
      //!repeat e 0..4
      o = fma(vec4f(subgroupBroadcast(v_u[e], g)), s_u_g_e, o);
      //!end
      //!end
      //!end
      put_out(at.y + i * p.t, mine, o * finish);
    }
  }
  put_lse(at.queries, mine, top + log(total));
}
