// A convolution's sums that were cut into slices, added up: out[i] = the sum over z of input[z n + i] + bias[i / inner % rows] + residual[i].
// bias has `biased` = 0 where there is none, residual `added` = 0; Y is how out is stored.
alias Y = f32; //!param
const WG = 64u;
struct Params { n: u32, rows: u32, inner: u32, slices: u32, biased: u32, added: u32 }
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read> residual: array<Y>;
@group(0) @binding(3) var<storage, read_write> out: array<Y>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  var s = 0.0;
  for (var z = 0u; z < p.slices; z++) { s += input[z * p.n + i]; }
  if (p.biased > 0u) { s += bias[i / p.inner % p.rows]; }
  if (p.added > 0u) { s += f32(residual[i]); }
  out[i] = Y(s);
}
