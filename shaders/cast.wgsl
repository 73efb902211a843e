// out[i] = x[i] in another storage type: f32 to f16 rounds, f16 to f32 is exact. Moves 6 bytes an element.
// n counts vec4s. PER elements in a row an invocation.
const WG = 64u;
const PER = 1u; //!param
alias X = vec4f; //!param
alias Y = vec4f; //!param
struct Params { n: u32 }
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read_write> out: array<Y>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) { out[i] = Y(x[i]); }
}
