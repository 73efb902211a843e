// What the adapter reaches at best: multiply-adds in registers, as the inner loop of a matrix product has them without its
// loads, and a copy. The fastest shape depends on the adapter, so there are several of the first.
const STEPS = 512u;
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read_write> out: array<vec4f>;

// 12 chains of f32 with two shared operands: what fits the registers of a CPU adapter.
@compute @workgroup_size(64)
fn few(@builtin(global_invocation_id) id: vec3u) {
  let a = x[0].x;
  let b = x[1].x;
  var p = vec4f(f32(id.x));
  var q = p + 1.0;
  var r = p + 2.0;
  for (var i = 0u; i < STEPS; i += 8u) {
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
    p = p * a + b; q = q * a + b; r = r * a + b;
  }
  out[id.x] = p + q + r;
}

// 32 chains of f32, as a register tile of a GPU.
@compute @workgroup_size(64)
fn many(@builtin(global_invocation_id) id: vec3u) {
  let a = x[0];
  let b = x[1];
  var c0 = vec4f(f32(id.x)); var c1 = c0 + 1.0; var c2 = c0 + 2.0; var c3 = c0 + 3.0;
  var c4 = c0 + 4.0; var c5 = c0 + 5.0; var c6 = c0 + 6.0; var c7 = c0 + 7.0;
  for (var i = 0u; i < STEPS; i++) {
    c0 = fma(c0, a, b); c1 = fma(c1, a, b); c2 = fma(c2, a, b); c3 = fma(c3, a, b);
    c4 = fma(c4, a, b); c5 = fma(c5, a, b); c6 = fma(c6, a, b); c7 = fma(c7, a, b);
  }
  out[id.x] = c0 + c1 + c2 + c3 + c4 + c5 + c6 + c7;
}

// 16 bytes an invocation.
@compute @workgroup_size(64)
fn copy_narrow(@builtin(global_invocation_id) id: vec3u) {
  out[id.x] = x[id.x];
}

// 256 bytes an invocation, neighbours side by side.
@compute @workgroup_size(64)
fn copy_wide(@builtin(local_invocation_id) local: vec3u, @builtin(workgroup_id) group: vec3u) {
  let first = group.x * 1024u + local.x;
  for (var i = 0u; i < 16u; i++) { out[first + 64u * i] = x[first + 64u * i]; }
}
