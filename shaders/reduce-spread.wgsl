// Elementwise over x with values of a reduction of it: out[i] from x[i], y[j], dy[j], z[j], j = the result that i belongs to:
//   j = sum over three runs of kept axes of i / stride % size * out_stride (size 1 for runs that are absent).
// KIND 0: scale*dy   1: x == y ? dy/z : 0 (maximum, z ties)   2: (x-y)^2   3: scale*(x-y)*dy (variance, y its mean)
//      4: scale*(x-y)*dy/z, 0 where z = 0 (standard deviation z)   5: x*dy/y, 0 where y = 0 (norm)   6: x == y ? 1 : 0
// A thread an element. Moves 4 to 8 bytes an element.
const WG = 64u;
const KIND = 0u; //!param
struct Params {
  n: u32, stride0: u32, size0: u32, out0: u32, stride1: u32, size1: u32, out1: u32, stride2: u32, size2: u32, out2: u32,
  scale: f32,
}
@group(0) @binding(0) var<storage, read> x: array<f32>;
@group(0) @binding(1) var<storage, read> y: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read> z: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;
@group(0) @binding(5) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn spread(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let j = i / p.stride0 % p.size0 * p.out0 + i / p.stride1 % p.size1 * p.out1 + i / p.stride2 % p.size2 * p.out2;
  //!if KIND == 0
  out[i] = p.scale * dy[j];
  //!end
  //!if KIND == 1
  out[i] = select(0.0, dy[j] / z[j], x[i] == y[j]);
  //!end
  //!if KIND == 2
  let d = x[i] - y[j];
  out[i] = d * d;
  //!end
  //!if KIND == 3
  out[i] = p.scale * (x[i] - y[j]) * dy[j];
  //!end
  //!if KIND == 4
  out[i] = select(p.scale * (x[i] - y[j]) * dy[j] / z[j], 0.0, z[j] == 0.0);
  //!end
  //!if KIND == 5
  out[i] = select(x[i] * dy[j] / y[j], 0.0, y[j] == 0.0);
  //!end
  //!if KIND == 6
  out[i] = select(0.0, 1.0, x[i] == y[j]);
  //!end
}
