// Dropout: out = x·(u >= rate)·scale, scale = 1/(1 - rate), with u the uniform numbers of random.wgsl at the same images, size,
// stream and seed. Its gradient is the same map of dy, so nothing is saved. x, out: f32[images, size]. A thread four values; a cell
// is T: four values where 4 divides size, else one. Moves 8 bytes a value.
const WG = 64u;
const V = 4u; //!param
alias T = vec4f; //!param
struct Params {
  images: u32, size: u32, blocks: u32, first: u32, stream_low: u32, stream_high: u32, seed_low: u32, seed_high: u32,
  rate: f32, scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<T>;
@group(0) @binding(1) var<storage, read_write> out: array<T>;
@group(0) @binding(2) var<uniform> p: Params;
//!include lib/philox.wgsl

@compute @workgroup_size(WG)
fn main(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.images * p.blocks) { return; }
  let counter = vec4u(i % p.blocks, p.first + i / p.blocks, p.stream_low, p.stream_high);
  let u = vec4f(philox(counter, vec2u(p.seed_low, p.seed_high)) >> vec4u(8u)) * 0x1p-24f;
  let factor = select(vec4f(), vec4f(p.scale), u >= vec4f(p.rate));
  //!if V == 4
  out[i] = x[i] * factor;
  //!else
  let at = 4u * (i % p.blocks);
  let base = i / p.blocks * p.size;
  for (var k = 0u; k < min(4u, p.size - at); k++) { out[base + at + k] = x[base + at + k] * factor[k]; }
  //!end
}
