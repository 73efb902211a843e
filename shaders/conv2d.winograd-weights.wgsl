// Weights in and out of the Winograd domain of conv2d.winograd.wgsl (F(4x4, 3x3), points 0, ±3/4, ±3/2, infinity), one thread a
// weight plane. Rows go through a loop over `points` = 6, a number that drivers' compilers do not know, else they unroll it and take
// three times as long.
//   weightTransform: U = G w Gᵀ: out[e][m][k], k padded to quads with zeros;
//                    w[m·rowStep + k·depthStep + tap]; with `flip` the taps run backwards (input gradient).
//   weightInverse:   dw = Gᵀ D G: out[(row·depth + k)·9 + tap], D[e] at e·element + row·rowStep + k·depthStep
const WG = 32u;
alias X = f32; //!param
struct Params { rows: u32, depth: u32, rowStep: u32, depthStep: u32, flip: u32, element: u32, points: u32 }
@group(0) @binding(0) var<storage, read> input: array<X>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

const N = -128.0 / 243.0;
const F = 32.0 / 243.0;
const G = array<vec3f, 6>(
  vec3f(64.0 / 81.0, 0.0, 0.0), N * vec3f(1.0, 0.75, 0.5625), N * vec3f(1.0, -0.75, 0.5625),
  F * vec3f(1.0, 1.5, 2.25), F * vec3f(1.0, -1.5, 2.25), vec3f(0.0, 0.0, 1.0),
);

// Taps 3 row … 3 row + 2 of the weight at `at`, backwards with `flip`.
fn taps(at: u32, row: u32) -> vec3f {
  let t = at + select(3u * row, 8u - 3u * row, p.flip > 0u);
  let step = select(1u, 0xffffffffu, p.flip > 0u);
  return vec3f(f32(input[t]), f32(input[t + step]), f32(input[t + 2u * step]));
}

@compute @workgroup_size(WG)
fn weightTransform(@builtin(global_invocation_id) id: vec3u) {
  let pitch = (p.depth + 3u) / 4u * 4u;
  if (id.x >= pitch) { return; }
  let at = id.y * p.rowStep + min(id.x, p.depth - 1u) * p.depthStep;
  let inside = select(0.0, 1.0, id.x < p.depth);
  let a = inside * taps(at, 0u);
  let b = inside * taps(at, 1u);
  let c = inside * taps(at, 2u);
  let next = p.rows * pitch;
  var to = id.y * pitch + id.x;
  for (var i = 0u; i < p.points; i++) {
    let w = G[i].x * a + G[i].y * b + G[i].z * c;
    let near = w.x + 0.5625 * w.z;
    let far = w.x + 2.25 * w.z;
    out[to] = 64.0 / 81.0 * w.x;
    out[to + next] = N * (near + 0.75 * w.y);
    out[to + 2u * next] = N * (near - 0.75 * w.y);
    out[to + 3u * next] = F * (far + 1.5 * w.y);
    out[to + 4u * next] = F * (far - 1.5 * w.y);
    out[to + 5u * next] = w.z;
    to += 6u * next;
  }
}

@compute @workgroup_size(WG)
fn weightInverse(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.depth) { return; }
  var r0 = vec3f();
  var r1 = vec3f();
  var r2 = vec3f();
  for (var i = 0u; i < p.points; i++) {
    let at = 6u * i * p.element + id.y * p.rowStep + id.x * p.depthStep;
    let d1 = f32(input[at + p.element]);
    let d2 = f32(input[at + 2u * p.element]);
    let d3 = f32(input[at + 3u * p.element]);
    let d4 = f32(input[at + 4u * p.element]);
    let a = N * (d1 + d2);
    let b = F * (d3 + d4);
    let first = 64.0 / 81.0 * f32(input[at]) + a + b;
    let last = 0.5625 * a + 2.25 * b + f32(input[at + 5u * p.element]);
    let v = vec3f(first, 0.75 * N * (d1 - d2) + 1.5 * F * (d3 - d4), last);
    r0 += G[i].x * v;
    r1 += G[i].y * v;
    r2 += G[i].z * v;
  }
  let to = (id.y * p.depth + id.x) * 9u;
  for (var j = 0u; j < 3u; j++) {
    out[to + j] = r0[j];
    out[to + 3u + j] = r1[j];
    out[to + 6u + j] = r2[j];
  }
}
