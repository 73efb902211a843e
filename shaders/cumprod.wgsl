// Cumulative product along the middle axis of f32[outer, length, inner]; a thread a line, in order.
//   forward:  out[k] = x[0]*...*x[k]
//   backward: s[k] = dy[k] + x[k+1]*s[k+1], out[k] = products[k-1]*s[k] (products: the forward result): no division, so zeros in x
//   are harmless.
// Moves 8 / 16 bytes an element.
const WG = 64u;
struct Params { outer: u32, length: u32, inner: u32 }
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> products: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.inner) { return; }
  let at = i / p.inner * p.length * p.inner + i % p.inner;
  var product = 1.0;
  for (var k = 0u; k < p.length; k++) {
    product *= x[at + k * p.inner];
    out[at + k * p.inner] = product;
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.outer * p.inner) { return; }
  let at = i / p.inner * p.length * p.inner + i % p.inner;
  var s = 0.0;
  var next = 0.0;
  for (var k = p.length; k > 0u; k--) {
    let e = at + (k - 1u) * p.inner;
    s = dy[e] + next * s;
    next = x[e];
    if (k > 1u) { out[e] = products[e - p.inner] * s; } else { out[e] = s; }
  }
}
