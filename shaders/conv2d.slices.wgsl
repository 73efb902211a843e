// A convolution's sums that were cut into slices, added up: out[i] = bias[i / inner % rows] + the sum over z of input[z n + i].
// bias has `biased` = 0 where there is none; Y is how out is stored.
alias Y = f32; //!param
const WG = 64u;
struct Params { n: u32, rows: u32, inner: u32, slices: u32, biased: u32 }
@group(0) @binding(0) var<storage, read> input: array<f32>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<Y>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  var s = select(0.0, bias[i / p.inner % p.rows * p.biased], p.biased > 0u);
  for (var z = 0u; z < p.slices; z++) { s += input[z * p.n + i]; }
  out[i] = Y(s);
}
