// forward: out = f(x).   backward: out = dy * f'(x).   f by OP; a and b are the numbers that f takes (slope, bounds, ...).
// x, dy, out: f32[n] as vec4, n4 of them, PER in a row an invocation. Moves 8n (forward), 12n (backward) bytes.
const WG = 64u;
const PER = 1u; //!param
const OP = 0u; //!param
const RELU = 0u; //!param
const LEAKY_RELU = 1u; //!param
const SIGMOID = 2u; //!param
const TANH = 3u; //!param
const EXP = 4u; //!param
const LOG = 5u; //!param
const SQRT = 6u; //!param
const RSQRT = 7u; //!param
const SQUARE = 8u; //!param
const ABS = 9u; //!param
const SIN = 10u; //!param
const COS = 11u; //!param
const CLAMP = 12u; //!param
const AFFINE = 13u; //!param
const RECIPROCAL = 14u; //!param
const SILU = 15u; //!param
const FLOOR = 16u; //!param
const ROUND = 17u; //!param
struct Params { n4: u32, a: f32, b: f32 }
@group(0) @binding(0) var<storage, read> x: array<vec4f>;
@group(0) @binding(1) var<storage, read> dy: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(3) var<uniform> p: Params;

//!include lib/sine.wgsl

// Value and derivative; compilers drop the one that is not used.
struct Pair { y: vec4f, d: vec4f }
fn f(v: vec4f) -> Pair {
  //!if OP == RELU
  return Pair(max(v, vec4f()), select(vec4f(), vec4f(1.0), v > vec4f()));
  //!end
  //!if OP == LEAKY_RELU
  return Pair(select(p.a * v, v, v > vec4f()), select(vec4f(p.a), vec4f(1.0), v > vec4f()));
  //!end
  //!if OP == SIGMOID
  let s = 1.0 / (1.0 + exp(-v));
  return Pair(s, s * (1.0 - s));
  //!end
  //!if OP == TANH
  // tanh |v| = (1 - e) / (1 + e) with e = exp(-2|v|) loses digits near 0: a series there.
  let e = exp(-2.0 * abs(v));
  let q = v * v;
  let small = v * (1.0 + q * (-0.33333333 + q * (0.13333333 + q * (-0.053968254 + q * (0.021869488 - q * 0.0088632356)))));
  let t = select(sign(v) * (1.0 - e) / (1.0 + e), small, abs(v) < vec4f(0.25));
  return Pair(t, 4.0 * e / ((1.0 + e) * (1.0 + e)));
  //!end
  //!if OP == EXP
  return Pair(exp(v), exp(v));
  //!end
  //!if OP == LOG
  return Pair(log(v), 1.0 / v);
  //!end
  //!if OP == SQRT
  return Pair(sqrt(v), 0.5 / sqrt(v));
  //!end
  //!if OP == RSQRT
  return Pair(1.0 / sqrt(v), -0.5 / (v * sqrt(v)));
  //!end
  //!if OP == SQUARE
  return Pair(v * v, 2.0 * v);
  //!end
  //!if OP == ABS
  return Pair(abs(v), sign(v));
  //!end
  //!if OP == SIN
  let t = sine(v);
  return Pair(t.sin, t.cos);
  //!end
  //!if OP == COS
  let t = sine(v);
  return Pair(t.cos, -t.sin);
  //!end
  //!if OP == CLAMP
  let inside = (v >= vec4f(p.a)) & (v <= vec4f(p.b));
  return Pair(clamp(v, vec4f(p.a), vec4f(p.b)), select(vec4f(), vec4f(1.0), inside));
  //!end
  //!if OP == AFFINE
  return Pair(p.a * v + p.b, vec4f(p.a));
  //!end
  //!if OP == RECIPROCAL
  return Pair(1.0 / v, -1.0 / (v * v));
  //!end
  //!if OP == SILU
  let s = 1.0 / (1.0 + exp(-v));
  return Pair(v * s, s * (1.0 + v * (1.0 - s)));
  //!end
  //!if OP == FLOOR
  return Pair(floor(v), vec4f());
  //!end
  //!if OP == ROUND
  return Pair(round(v), vec4f());
  //!end
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n4); i++) { out[i] = f(x[i]).y; }
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n4); i++) { out[i] = dy[i] * f(x[i]).d; }
}
