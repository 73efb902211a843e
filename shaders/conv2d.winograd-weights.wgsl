// Weights in and out of the Winograd domain of conv2d.winograd.wgsl (F(4x4, 3x3), points 0, ±3/4, ±3/2, infinity).
//   weightTransform: U = G w Gᵀ, one thread a weight plane: out[e][m][k], k padded to quads with zeros;
//                    w[m·rowStep + k·depthStep + tap]; with `flip` the taps run backwards (input gradient).
//   weightInverse:   dw = Gᵀ D G, one thread a weight plane: out[(o·c + c)·9 + tap], D[e] at e·element + o·rowStep + c·depthStep
const WG = 32u;
alias X = f32; //!param
struct Params { rows: u32, depth: u32, rowStep: u32, depthStep: u32, flip: u32, element: u32 }
@group(0) @binding(0) var<storage, read> input: array<X>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn spread(a: f32, b: f32, c: f32) -> array<f32, 6> {
  let near = a + 0.5625 * c;
  let far = a + 2.25 * c;
  const n = -128.0 / 243.0;
  const f = 32.0 / 243.0;
  return array<f32, 6>(64.0 / 81.0 * a, n * (near + 0.75 * b), n * (near - 0.75 * b), f * (far + 1.5 * b), f * (far - 1.5 * b), c);
}

@compute @workgroup_size(WG)
fn weightTransform(@builtin(global_invocation_id) id: vec3u) {
  let pitch = (p.depth + 3u) / 4u * 4u;
  if (id.x >= pitch) { return; }
  let at = id.y * p.rowStep + min(id.x, p.depth - 1u) * p.depthStep;
  var w: array<f32, 9>;
  for (var t = 0u; t < 9u; t++) { w[t] = select(0.0, f32(input[at + select(t, 8u - t, p.flip > 0u)]), id.x < p.depth); }
  let c0 = spread(w[0], w[3], w[6]);
  let c1 = spread(w[1], w[4], w[7]);
  let c2 = spread(w[2], w[5], w[8]);
  for (var i = 0u; i < 6u; i++) {
    let u = spread(c0[i], c1[i], c2[i]);
    for (var j = 0u; j < 6u; j++) { out[((i * 6u + j) * p.rows + id.y) * pitch + id.x] = u[j]; }
  }
}

fn gather(d: array<f32, 6>) -> vec3f {
  const n = -128.0 / 243.0;
  const f = 32.0 / 243.0;
  let a = n * (d[1] + d[2]);
  let b = f * (d[3] + d[4]);
  return vec3f(64.0 / 81.0 * d[0] + a + b, 0.75 * n * (d[1] - d[2]) + 1.5 * f * (d[3] - d[4]), 0.5625 * a + 2.25 * b + d[5]);
}

@compute @workgroup_size(WG)
fn weightInverse(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.depth) { return; }
  var rows: array<vec3f, 6>;
  for (var i = 0u; i < 6u; i++) {
    var d: array<f32, 6>;
    for (var j = 0u; j < 6u; j++) {
      let at = (i * 6u + j) * p.element + id.y * p.rowStep + id.x * p.depthStep;
      d[j] = f32(input[at]);
    }
    rows[i] = gather(d);
  }
  let to = (id.y * p.depth + id.x) * 9u;
  for (var j = 0u; j < 3u; j++) {
    let v = gather(array<f32, 6>(rows[0][j], rows[1][j], rows[2][j], rows[3][j], rows[4][j], rows[5][j]));
    out[to + j] = v.x;
    out[to + 3u + j] = v.y;
    out[to + 6u + j] = v.z;
  }
}
