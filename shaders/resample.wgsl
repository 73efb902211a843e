// Planes of [h, w] and [H, W] = at least [h*k, w*k]; blocks of k x k.
// spread: large[y, x] = factor * small[y / k, x / k], 0 outside the blocks (nearest upsampling, gradient of the pool).
// gather: small[y, x] = factor * sum over its block of large        (average pool, gradient of the upsampling).
// PER elements of the result in a row an invocation. The "2" forms are for k = 2, W = 2w, w a multiple of 4: they read and
// write whole vec4s; n counts the vec4s of the small plane (spread2: w4 = w / 4) or of the result (gather2).
const WG = 64u;
const PER = 1u; //!param
alias S = f32; //!param
struct Params { n: u32, k: u32, h: u32, w: u32, big_h: u32, big_w: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> source: array<S>;
@group(0) @binding(1) var<storage, read_write> out: array<S>;
@group(0) @binding(2) var<storage, read> source4: array<vec4<S>>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4<S>>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn spread(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let column = i % p.big_w / p.k;
    let row = i / p.big_w % p.big_h / p.k;
    var v = 0.0;
    if (row < p.h && column < p.w) { v = p.factor * f32(source[(i / (p.big_w * p.big_h) * p.h + row) * p.w + column]); }
    out[i] = S(v);
  }
}

@compute @workgroup_size(WG)
fn spread2(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  let w4 = p.w / 4u;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let v = vec4<S>(p.factor * vec4f(source4[i]));
    let at = i / w4 * p.w + i % w4 * 2u;
    out4[at] = v.xxyy;
    out4[at + 1u] = v.zzww;
    out4[at + 2u * w4] = v.xxyy;
    out4[at + 2u * w4 + 1u] = v.zzww;
  }
}

@compute @workgroup_size(WG)
fn gather(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let at = (i / (p.w * p.h) * p.big_h + i / p.w % p.h * p.k) * p.big_w + i % p.w * p.k;
    var sum = 0.0;
    for (var y = 0u; y < p.k; y++) {
      for (var c = 0u; c < p.k; c++) { sum += f32(source[at + y * p.big_w + c]); }
    }
    out[i] = S(p.factor * sum);
  }
}

@compute @workgroup_size(WG)
fn gather2(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  let w4 = p.w / 4u;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let at = i / w4 * p.w + i % w4 * 2u;
    let a = vec4f(source4[at]) + vec4f(source4[at + 2u * w4]);
    let b = vec4f(source4[at + 1u]) + vec4f(source4[at + 2u * w4 + 1u]);
    out4[i] = vec4<S>(p.factor * vec4f(a.x + a.y, a.z + a.w, b.x + b.y, b.z + b.w));
  }
}
