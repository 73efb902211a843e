// Weights in and out of the Winograd domain of conv2d.winograd.wgsl (F(4x4, 3x3), points 0, ±3/4, ±3/2, infinity). One thread a
// weight plane and, along z, a row of the result: short programs, since drivers' compilers take longer for them than they run.
//   weightTransform: row z of U = G w Gᵀ: out[e][m][k], k padded to quads with zeros;
//                    w[m·rowStep + k·depthStep + tap]; with `flip` the taps run backwards (input gradient).
//   weightInverse:   row z of dw = Gᵀ D G: out[(o·c + c)·9 + tap], D[e] at e·element + o·rowStep + c·depthStep
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
  let g = G[id.z];
  var w = g.x * taps(at, 0u) + g.y * taps(at, 1u) + g.z * taps(at, 2u);
  if (id.x >= p.depth) { w = vec3f(); }
  let near = w.x + 0.5625 * w.z;
  let far = w.x + 2.25 * w.z;
  let to = (id.z * 6u * p.rows + id.y) * pitch + id.x;
  let next = p.rows * pitch;
  out[to] = 64.0 / 81.0 * w.x;
  out[to + next] = N * (near + 0.75 * w.y);
  out[to + 2u * next] = N * (near - 0.75 * w.y);
  out[to + 3u * next] = F * (far + 1.5 * w.y);
  out[to + 4u * next] = F * (far - 1.5 * w.y);
  out[to + 5u * next] = w.z;
}

@compute @workgroup_size(WG)
fn weightInverse(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.depth) { return; }
  var v = vec3f();
  // Of `points` = 6: a number that the compiler does not know, else it unrolls the loop.
  for (var i = 0u; i < p.points; i++) {
    let at = 6u * i * p.element + id.y * p.rowStep + id.x * p.depthStep;
    let d1 = input[at + p.element];
    let d2 = input[at + 2u * p.element];
    let d3 = input[at + 3u * p.element];
    let d4 = input[at + 4u * p.element];
    let a = N * f32(d1 + d2);
    let b = F * f32(d3 + d4);
    let first = 64.0 / 81.0 * f32(input[at]) + a + b;
    let last = 0.5625 * a + 2.25 * b + f32(input[at + 5u * p.element]);
    v += G[i][id.z] * vec3f(first, 0.75 * N * f32(d1 - d2) + 1.5 * F * f32(d3 - d4), last);
  }
  let to = (id.y * p.depth + id.x) * 9u + id.z * 3u;
  out[to] = v.x;
  out[to + 1u] = v.y;
  out[to + 2u] = v.z;
}
