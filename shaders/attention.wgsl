// Attention in plain WGSL. Heads lie channels first, [d, t]. V: vec4 access (t divides by 4). All of it for any d and t.
// forward: out = softmax(qᵀk·scale)·vᵀ, lse = log Σ exp. 64 queries a workgroup, one an invocation, which keeps O sums of out in
//   registers (past d: of zeros); more channels take more workgroups along x. Tiles of 32 keys and values in workgroup memory (≤ 10 KiB).
// scores: for the queries first … first+rows: probs = P, slopes = P·(dP − delta)·scale, each [rows, t] a head. Tiles of 64 by
//   64, 16 channels at a time in workgroup memory.
// row_dots: delta = Σ_channels y·dy.
// Head (image z, head h): q starts at z·image + h·head, k and v follow `part` and 2·part later; y, dy at (z·heads + h)·d·t.
const O = 32u; //!param
const V = 1u; //!param
alias T = vec4f; //!param
const PITCH = 17u; // vec4s of a staged line of 64 tokens: one more, against bank conflicts
struct Params {
  t: u32, d: u32, heads: u32, image: u32, head: u32, part: u32, scale: f32,
  first_image: u32, first_head: u32, images: u32, span: u32, first: u32, rows: u32,
}
@group(0) @binding(0) var<storage, read> qkv: array<T>;
@group(0) @binding(1) var<storage, read> dy: array<T>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> lse_out: array<f32>;
@group(0) @binding(4) var<storage, read> lse: array<f32>;
@group(0) @binding(5) var<storage, read> delta: array<f32>;
@group(0) @binding(6) var<storage, read_write> probs: array<T>;
@group(0) @binding(7) var<storage, read_write> slopes: array<T>;
@group(0) @binding(8) var<storage, read> y_in: array<f32>;
@group(0) @binding(9) var<storage, read> dy_in: array<f32>;
@group(0) @binding(10) var<storage, read_write> delta_out: array<f32>;
@group(0) @binding(11) var<uniform> p: Params;
var<workgroup> keys: array<vec4f, 128>;
var<workgroup> values: array<vec4f, O * 8u>;
var<workgroup> tile_a: array<vec4f, 272>;
var<workgroup> tile_b: array<vec4f, 272>;

// Four tokens from `token` on of channel `i` of the part that starts at `start`; zero past the ends.
fn tokens_qkv(start: u32, i: u32, token: u32) -> vec4f {
  if (i >= p.d || token >= p.t) { return vec4f(); }
  let at = start + i * p.t + token;
  //!if V == 1
  return qkv[at >> 2u];
  //!else
  var v = vec4f(qkv[at], 0.0, 0.0, 0.0);
  for (var e = 1u; e < min(4u, p.t - token); e++) { v[e] = qkv[at + e]; }
  return v;
  //!end
}

fn tokens_dy(start: u32, i: u32, token: u32) -> vec4f {
  if (i >= p.d || token >= p.t) { return vec4f(); }
  let at = start + i * p.t + token;
  //!if V == 1
  return dy[at >> 2u];
  //!else
  var v = vec4f(dy[at], 0.0, 0.0, 0.0);
  for (var e = 1u; e < min(4u, p.t - token); e++) { v[e] = dy[at + e]; }
  return v;
  //!end
}

fn query(at: u32) -> f32 {
  //!if V == 1
  return qkv[at >> 2u][at & 3u];
  //!else
  return qkv[at];
  //!end
}

@compute @workgroup_size(64)
fn forward(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let q0 = w.z * p.image + w.y * p.head;
  let k0 = q0 + p.part;
  let v0 = k0 + p.part;
  let unit = w.z * p.heads + w.y;
  let blocks = (p.t + 63u) / 64u;
  let mine = w.x % blocks * 64u + id;
  let channel = w.x / blocks * O;
  let q_at = q0 + min(mine, p.t - 1u);
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
      keys[u * 64u + id] = tokens_qkv(k0, i0 + u * 8u + id / 8u, c + id % 8u * 4u);
      //!end
      workgroupBarrier();
      for (var i = 0u; i < min(16u, p.d - i0); i++) {
        let q = query(q_at + (i0 + i) * p.t) * p.scale;
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
      values[x] = tokens_qkv(v0, channel + x / 8u, c + x % 8u * 4u);
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
  if (channel == 0u) { lse_out[unit * p.t + mine] = top + log(total); }
  //!repeat i 0..O
  if (channel + i < p.d) { out[(unit * p.d + channel + i) * p.t + mine] = o_i / total; }
  //!end
}

@compute @workgroup_size(256)
fn scores(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) id: u32) {
  let z = p.first_image + w.z / p.span;
  let h = p.first_head + w.z % p.span;
  let q0 = z * p.image + h * p.head;
  let unit = z * p.heads + h;
  let ty = id / 16u;
  let tx = id % 16u;
  let row = w.y * 64u;
  let col = w.x * 64u;
  //!repeat i 0..4
  var s_i = vec4f();
  var d_i = vec4f();
  //!end
  for (var i0 = 0u; i0 < p.d; i0 += 16u) {
    tile_a[ty * PITCH + tx] = tokens_qkv(q0, i0 + ty, p.first + row + tx * 4u);
    tile_b[ty * PITCH + tx] = tokens_qkv(q0 + p.part, i0 + ty, col + tx * 4u);
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let x = tile_a[k * PITCH + ty];
      let b = tile_b[k * PITCH + tx];
      //!repeat i 0..4
      s_i = fma(vec4f(x[i]), b, s_i);
      //!end
    }
    workgroupBarrier();
  }
  for (var i0 = 0u; i0 < p.d; i0 += 16u) {
    tile_a[ty * PITCH + tx] = tokens_dy(unit * p.d * p.t, i0 + ty, p.first + row + tx * 4u);
    tile_b[ty * PITCH + tx] = tokens_qkv(q0 + 2u * p.part, i0 + ty, col + tx * 4u);
    workgroupBarrier();
    for (var k = 0u; k < 16u; k++) {
      let x = tile_a[k * PITCH + ty];
      let b = tile_b[k * PITCH + tx];
      //!repeat i 0..4
      d_i = fma(vec4f(x[i]), b, d_i);
      //!end
    }
    workgroupBarrier();
  }
  //!repeat i 0..4
  put_scores(row + ty * 4u + i, col + tx * 4u, unit * p.t + p.first, w.z * p.rows, s_i, d_i);
  //!end
}

fn put_scores(row: u32, token: u32, stats: u32, base: u32, score: vec4f, grad: vec4f) {
  if (row >= p.rows || token >= p.t) { return; }
  let prob = exp(score * p.scale - lse[stats + row]);
  let slope = prob * (grad - delta[stats + row]) * p.scale;
  let at = (base + row) * p.t + token;
  //!if V == 1
  probs[at >> 2u] = prob;
  slopes[at >> 2u] = slope;
  //!else
  for (var e = 0u; e < min(4u, p.t - token); e++) {
    probs[at + e] = prob[e];
    slopes[at + e] = slope[e];
  }
  //!end
}

@compute @workgroup_size(64)
fn row_dots(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.t) { return; }
  var sum = 0.0;
  for (var i = 0u; i < p.d; i++) {
    let at = (id.y * p.d + i) * p.t + id.x;
    sum = fma(y_in[at], dy_in[at], sum);
  }
  delta_out[id.y * p.t + id.x] = sum;
}
