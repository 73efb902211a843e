// forward: out = x*s, s = sigmoid(x).   backward: out = dy*s*(1 + x*(1-s)).
// x, dy, out: f32[n], read as vec4 (buffers are padded to 256 bytes). Four elements a thread. Moves 8n / 12n bytes.
const WG = 64u;
struct Params { n4: u32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<uniform> p: Params;

fn sigmoid(v: vec4f) -> vec4f { return 1.0 / (1.0 + exp(-v)); }

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n4) { return; }
  let v = x[i];
  out[i] = v * sigmoid(v);
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n4) { return; }
  let v = x[i];
  let s = sigmoid(v);
  out[i] = dy[i] * s * (1.0 + v * (1.0 - s));
}
