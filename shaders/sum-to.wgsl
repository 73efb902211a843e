// out[o, c, i] = factor * sum of x[o, r, i] over r in chunk c (len numbers each; the last may be shorter).
// x: f32[outer, r, inner], out: f32[outer, chunks, inner]. One invocation an output (columns) or, where inner is 1 and WIDE
// is 1 with V = vec4f, an output summed as vec4s (rows). The order of the sums is fixed, so the result is the same in every run.
const WG = 64u;
const WIDE = 0u; //!param
alias V = f32; //!param
struct Params { n: u32, r: u32, inner: u32, chunks: u32, len: u32, factor: f32 }
@group(0) @binding(0) var<storage, read> x: array<V>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn sum_to(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let k = id.y * wgs.x * WG + id.x;
  if (k >= p.n) { return; }
  let chunk = k / p.inner % p.chunks;
  let at = k / (p.inner * p.chunks) * p.r * p.inner + k % p.inner;
  var sum = V();
  for (var r = chunk * p.len; r < min((chunk + 1u) * p.len, p.r); r++) { sum += x[at + r * p.inner]; }
  //!if WIDE
  out[k] = p.factor * dot(vec4f(sum), vec4f(1.0));
  //!else
  out[k] = p.factor * sum;
  //!end
}
