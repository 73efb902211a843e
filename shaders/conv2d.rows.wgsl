// Small matrices brought into the form that conv2d.product.wgsl reads, and out of it.
//   copyRows:  out[r][i] = input[r·inPitch + i·step] where i < width, else 0, for i < outPitch: adds or cuts the padding of rows
//              to quads; inPitch 1 transposes
//   sumSlices: out[r][i] = sum over z < slices of input[z][r][i], rows of inPitch and outPitch, i < outPitch
const WG = 64u;
alias X = f32; //!param
alias Y = f32; //!param
struct Params { rows: u32, width: u32, inPitch: u32, outPitch: u32, step: u32, slices: u32 }
@group(0) @binding(0) var<storage, read> input: array<X>;
@group(0) @binding(1) var<storage, read_write> out: array<Y>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn copyRows(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let at = id.y * wgs.x * WG + id.x;
  if (at >= p.rows * p.outPitch) { return; }
  let i = at % p.outPitch;
  out[at] = select(Y(), Y(input[at / p.outPitch * p.inPitch + min(i, p.width - 1u) * p.step]), i < p.width);
}

@compute @workgroup_size(WG)
fn sumSlices(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let at = id.y * wgs.x * WG + id.x;
  if (at >= p.rows * p.outPitch) { return; }
  let from_ = at / p.outPitch * p.inPitch + at % p.outPitch;
  var s = 0.0;
  for (var z = 0u; z < p.slices; z++) { s += f32(input[z * p.rows * p.inPitch + from_]); }
  out[at] = Y(s);
}
