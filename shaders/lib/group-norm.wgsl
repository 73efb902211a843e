// Group norm of x: f32[n, c, ...spatial], channel factors a = gamma*(1+scale) and b = beta*(1+scale)+shift:
//   forward:  h = (x - mean)*rstd, u = a*h + b, out = silu ? u*sigmoid(u) : u;   stats[group] = (mean, rstd)
//   backward: du = dy*d(out)/du, out = rstd*(a*du - s1 - h*s2), s1, s2 = means over the group of a*du and a*du*h;
//             sums[n, c] = (sum of du*h, sum of du), from which the parameters' gradients follow
// A cell is T: four values where a channel's size is a multiple of 4, else one; X is how x and out are stored (f16 in forward only).
// Moments of a run of cells are taken about K, the mean of an eighth of it (cells 0..WG of every 8*WG): then
// (K - mean)^2 <= 7*variance whatever the values, so that E[(x-K)^2] - (mean-K)^2 loses three bits at most.
// The including file defines group_sum, over the workgroup of WG lanes; all lanes call it.
// `scaled` and `silu` are no variants: asking costs nothing against the memory, each variant half a second of a driver's compiler.
// Moves 8 bytes an element forward (x is read 2.1 times, from cache), 12 backward.
const V = 4u; //!param
alias T = vec4f; //!param
alias X = T; //!param
struct Params { groups: u32, channels: u32, cells: u32, count: u32, lanes: u32, scaled: u32, silu: u32, parts: u32, eps: f32 }
@group(0) @binding(0) var<storage, read> x: array<X>;
@group(0) @binding(1) var<storage, read> gamma: array<f32>;
@group(0) @binding(2) var<storage, read> beta: array<f32>;
@group(0) @binding(3) var<storage, read> scale_shift: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<T>;
@group(0) @binding(5) var<storage, read> stats: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> out: array<X>;
@group(0) @binding(7) var<storage, read_write> moments: array<vec2f>;
@group(0) @binding(8) var<storage, read_write> sums: array<vec2f>;
@group(0) @binding(9) var<uniform> p: Params;

fn across(v: T) -> f32 {
  //!if V == 4
  return (v.x + v.y) + (v.z + v.w);
  //!else
  return v;
  //!end
}

// sigmoid(u), or 1 without silu.
fn gate(u: T) -> T { return select(T(1.0), 1.0 / (1.0 + exp(-u)), p.silu != 0u); }

// (a, b) of channel c of image n.
fn factors(n: u32, c: u32) -> vec2f {
  let f = vec2f(gamma[c], beta[c]);
  if (p.scaled == 0u) { return f; }
  let at = n * 2u * p.channels + c;
  return f * (1.0 + scale_shift[at]) + vec2f(0.0, scale_shift[at + p.channels]);
}

// Mean and variance of `cells` cells from `at` on, on every lane.
fn moments_of(at: u32, cells: u32, lane: u32) -> vec2f {
  let size = f32(cells * V);
  let sampled = cells / (8u * WG) * WG + min(cells % (8u * WG), WG);
  var a = T();
  for (var i = lane; i < cells; i += 8u * WG) { a += T(x[at + i]); }
  let k = group_sum(vec2f(across(a), 0.0), lane).x / f32(sampled * V);
  a = T();
  var q = T();
  for (var i = lane; i < cells; i += WG) {
    let v = T(x[at + i]) - k;
    a += v;
    q += v * v;
  }
  let m = group_sum(vec2f(across(a), across(q)), lane) / size;
  return vec2f(k + m.x, max(m.y - m.x * m.x, 0.0));
}

// du from dy, kept in out: the second pass reads it there.
fn slope(e: u32, h: T, f: vec2f) -> T {
  let u = f.x * h + f.y;
  let s = gate(u);
  let du = dy[e] * s * (1.0 + u * (1.0 - s));
  out[e] = X(du);
  return du;
}
