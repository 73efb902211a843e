enable subgroups;
// Attention for software adapters: a workgroup is one subgroup of SG lanes. Heads lie channels first, [d, t], so a lane owns
// four adjacent tokens as one vec4 and softmax needs no other lane; the other side's values are loaded once, as vec4s spread
// over the lanes, KT tokens a tile, and reach all lanes by broadcast. V: vec4 access (t divides by 4).
// forward: out = softmax(qᵀk·scale)·vᵀ, lse = log Σ exp; the running sums are kept in out, no t×t matrix exists.
// scores: for the queries first … first+rows: probs = P, slopes = P·(dP − delta)·scale, each [rows, t] a head.
// Head (image z, head h): q starts at z·image + h·head, k and v follow `part` and 2·part later; y, dy at (z·heads + h)·d·t.
const SG = 8u; //!param
const KT = 32u; //!param
const V = 1u; //!param
alias T = vec4f; //!param
struct Params {
  t: u32, d: u32, heads: u32, image: u32, head: u32, part: u32, scale: f32,
  first_image: u32, first_head: u32, images: u32, span: u32, first: u32, rows: u32,
}
@group(0) @binding(0) var<storage, read> qkv: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<T>;
@group(0) @binding(3) var<storage, read_write> lse_out: array<T>;
@group(0) @binding(4) var<storage, read> lse: array<T>;
@group(0) @binding(5) var<storage, read> delta: array<T>;
@group(0) @binding(6) var<storage, read_write> probs: array<T>;
@group(0) @binding(7) var<storage, read_write> slopes: array<T>;
@group(0) @binding(8) var<uniform> p: Params;

// Four tokens from `token` on of the line that starts at `line`; past the end the last ones.
//!if V == 1
fn tokens_qkv(line: u32, token: u32) -> vec4f { return qkv[(line + min(token, p.t - 4u)) >> 2u]; }
fn tokens_dy(line: u32, token: u32) -> vec4f { return dy[(line + min(token, p.t - 4u)) >> 2u]; }
fn tokens_out(line: u32, token: u32) -> vec4f { return out[(line + min(token, p.t - 4u)) >> 2u]; }
fn tokens_lse(line: u32, token: u32) -> vec4f { return lse[(line + min(token, p.t - 4u)) >> 2u]; }
fn tokens_delta(line: u32, token: u32) -> vec4f { return delta[(line + min(token, p.t - 4u)) >> 2u]; }
//!else
fn spots(line: u32, token: u32) -> vec4u { return line + min(vec4u(token) + vec4u(0u, 1u, 2u, 3u), vec4u(p.t - 1u)); }
fn tokens_qkv(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(qkv[i.x], qkv[i.y], qkv[i.z], qkv[i.w]); }
fn tokens_dy(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(dy[i.x], dy[i.y], dy[i.z], dy[i.w]); }
fn tokens_out(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(out[i.x], out[i.y], out[i.z], out[i.w]); }
fn tokens_lse(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(lse[i.x], lse[i.y], lse[i.z], lse[i.w]); }
fn tokens_delta(line: u32, token: u32) -> vec4f { let i = spots(line, token); return vec4f(delta[i.x], delta[i.y], delta[i.z], delta[i.w]); }
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

fn put_scores(line: u32, token: u32, prob: vec4f, slope: vec4f) {
  //!if V == 1
  if (token < p.t) {
    probs[(line + token) >> 2u] = prob;
    slopes[(line + token) >> 2u] = slope;
  }
  //!else
  for (var e = 0u; e < 4u; e++) {
    if (token + e < p.t) {
      probs[line + token + e] = prob[e];
      slopes[line + token + e] = slope[e];
    }
  }
  //!end
}

@compute @workgroup_size(SG)
fn forward(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) lane: u32) {
  let q0 = w.z * p.image + w.y * p.head;
  let k0 = q0 + p.part;
  let v0 = k0 + p.part;
  let unit = w.z * p.heads + w.y;
  let y0 = unit * p.d * p.t;
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
      let q = tokens_qkv(q0 + i * p.t, mine) * p.scale;
      //!repeat u 0..KT/(4*SG)
      let k_u = tokens_qkv(k0 + i * p.t, c + (u * SG + lane) * 4u);
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
      let v_u = tokens_qkv(v0 + i * p.t, c + (u * SG + lane) * 4u);
      //!end
      var o = vec4f();
      if (c > 0u) { o = tokens_out(y0 + i * p.t, mine) * keep; }
      //!repeat u 0..KT/(4*SG)
      //!repeat g 0..SG
      //!repeat e 0..4
      o = fma(vec4f(subgroupBroadcast(v_u[e], g)), s_u_g_e, o);
      //!end
      //!end
      //!end
      put_out(y0 + i * p.t, mine, o * finish);
    }
  }
  put_lse(unit * p.t, mine, top + log(total));
}

@compute @workgroup_size(SG)
fn scores(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) lane: u32) {
  let z = p.first_image + w.z / p.span;
  let h = p.first_head + w.z % p.span;
  let q0 = z * p.image + h * p.head;
  let k0 = q0 + p.part;
  let v0 = k0 + p.part;
  let unit = z * p.heads + h;
  let y0 = unit * p.d * p.t;
  let mine = (w.x * SG + lane) * 4u;
  let c = p.first + w.y * KT;
  //!repeat u 0..KT/(4*SG)
  //!repeat g 0..SG
  //!repeat e 0..4
  var s_u_g_e = vec4f();
  var d_u_g_e = vec4f();
  //!end
  //!end
  //!end
  for (var i = 0u; i < p.d; i++) {
    let k = tokens_qkv(k0 + i * p.t, mine) * p.scale;
    //!repeat u 0..KT/(4*SG)
    let q_u = tokens_qkv(q0 + i * p.t, c + (u * SG + lane) * 4u);
    //!repeat g 0..SG
    //!repeat e 0..4
    s_u_g_e = fma(vec4f(subgroupBroadcast(q_u[e], g)), k, s_u_g_e);
    //!end
    //!end
    //!end
  }
  for (var i = 0u; i < p.d; i++) {
    let v = tokens_qkv(v0 + i * p.t, mine);
    //!repeat u 0..KT/(4*SG)
    let dy_u = tokens_dy(y0 + i * p.t, c + (u * SG + lane) * 4u);
    //!repeat g 0..SG
    //!repeat e 0..4
    d_u_g_e = fma(vec4f(subgroupBroadcast(dy_u[e], g)), v, d_u_g_e);
    //!end
    //!end
    //!end
  }
  //!repeat u 0..KT/(4*SG)
  let l_u = tokens_lse(unit * p.t, c + (u * SG + lane) * 4u);
  let m_u = tokens_delta(unit * p.t, c + (u * SG + lane) * 4u);
  //!repeat g 0..SG
  //!repeat e 0..4
  let row_u_g_e = w.y * KT + (u * SG + g) * 4u + e;
  let p_u_g_e = exp(s_u_g_e - subgroupBroadcast(l_u[e], g));
  let f_u_g_e = p_u_g_e * (d_u_g_e - subgroupBroadcast(m_u[e], g)) * p.scale;
  if (row_u_g_e < p.rows) { put_scores((w.z * p.rows + row_u_g_e) * p.t, mine, p_u_g_e, f_u_g_e); }
  //!end
  //!end
  //!end
}
