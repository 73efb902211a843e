// Gradients of group norm's parameters from sums[n, c] = (Q, A) = (sum of du*h, sum of du) (see lib/group-norm.wgsl):
//   parameters:  d_gamma[c] = sum over n of (1+scale)*Q, d_beta[c] the same of A; a thread a channel, n in order
//   modulation:  d_scale[n, c] = gamma*Q + beta*A, d_shift[n, c] = A, stored as [n, 2c]; a thread an (n, c)
const WG = 64u;
struct Params { batch: u32, channels: u32, scaled: u32 }
@group(0) @binding(0) var<storage, read> sums: array<vec2f>;
@group(0) @binding(1) var<storage, read> scale_shift: array<f32>;
@group(0) @binding(2) var<storage, read> gamma: array<f32>;
@group(0) @binding(3) var<storage, read> beta: array<f32>;
@group(0) @binding(4) var<storage, read_write> d_gamma: array<f32>;
@group(0) @binding(5) var<storage, read_write> d_beta: array<f32>;
@group(0) @binding(6) var<storage, read_write> d_scale_shift: array<f32>;
@group(0) @binding(7) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn parameters(@builtin(global_invocation_id) id: vec3u) {
  let c = id.x;
  if (c >= p.channels) { return; }
  var s = vec2f();
  for (var n = 0u; n < p.batch; n++) {
    var gain = 1.0;
    if (p.scaled != 0u) { gain += scale_shift[n * 2u * p.channels + c]; }
    s += sums[n * p.channels + c] * gain;
  }
  d_gamma[c] = s.x;
  d_beta[c] = s.y;
}

@compute @workgroup_size(WG)
fn modulation(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.batch * p.channels) { return; }
  let n = i / p.channels;
  let c = i % p.channels;
  let s = sums[i];
  d_scale_shift[n * 2u * p.channels + c] = gamma[c] * s.x + beta[c] * s.y;
  d_scale_shift[n * 2u * p.channels + p.channels + c] = s.y;
}
