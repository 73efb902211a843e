// out = a + b, f32[n] read as vec4: sums the gradients of a tensor that several ops used. Moves 12n bytes.
const WG = 64u;
struct Params { n4: u32 }
@group(0) @binding(0) var<storage, read> a: array<vec4f>;
@group(0) @binding(1) var<storage, read> b: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn accumulate(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i < p.n4) { out[i] = a[i] + b[i]; }
}
