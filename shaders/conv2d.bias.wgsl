enable subgroups;
// A convolution's bias gradient on software adapters: out[channel] = sum over images and pixels of dy[image][channel][pixel].
// A workgroup a channel, of one subgroup; planes are `quads` whole vec4s.
const SG = 8u; //!param
struct Params { images: u32, channels: u32, quads: u32 }
@group(0) @binding(0) var<storage, read> dy: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(SG)
fn sumChannel(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  var s = vec4f();
  for (var image = 0u; image < p.images; image++) {
    let start = (image * p.channels + wg.x) * p.quads;
    var part = vec4f();
    for (var k = l; k < p.quads; k += SG) { part += dy[start + k]; }
    s += part;
  }
  let all = subgroupAdd(s.x + s.y + s.z + s.w);
  if (l == 0u) { out[wg.x] = all; }
}
