// One pass of a mixed-radix Fourier transform along an axis of n, for arrays [batch, n, inner] (Stockham: sorted by itself).
// With m the product of the radices of earlier passes, q = n / (m r), w = exp(+- 2 pi i / n), j < q and k < m r:
//   next[j, k] = sum over s < r of now[j + q s, k mod m] * w^(s k q);
// now[j, .] is the transform of length m of every (n/m)-th element from j on, so the first pass reads the data (m = 1) and the
// last one (q = 1) leaves the result. Positions are rotated by in_shift on reading and out_shift on writing (centred
// transforms). Real parts come from re, imaginary parts from im, `half` on (REAL: none); out holds both, one after another,
// `total` apart. Elements T are f32, or vec4f where inner allows.
// direct: one result an element of the loop (count = total), any r. butterfly: R = 2 or 4 results (count = total / R), which
// share their loads. PER elements in a row an invocation.
const WG = 64u;
const PER = 1u; //!param
const REAL = 0u; //!param
const R = 4u; //!param
alias T = f32; //!param
struct Params {
  count: u32, total: u32, n: u32, inner: u32, m: u32, r: u32, half: u32, in_shift: u32, out_shift: u32, sign: f32, factor: f32,
}
@group(0) @binding(0) var<storage, read> re: array<T>;
@group(0) @binding(1) var<storage, read> im: array<T>;
@group(0) @binding(2) var<storage, read> w: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> p: Params;

struct Complex { re: T, im: T }

/// now[place] times w^turn.
fn turned(base: u32, place: u32, turn: u32) -> Complex {
  let at = base + (place + p.in_shift) % p.n * p.inner;
  let c = w[turn].x;
  let d = p.sign * w[turn].y;
  let a = re[at];
  //!if REAL
  return Complex(c * a, d * a);
  //!else
  let b = im[p.half + at];
  return Complex(c * a - d * b, d * a + c * b);
  //!end
}

fn write(base: u32, place: u32, v: Complex) {
  let at = base + (place + p.out_shift) % p.n * p.inner;
  out[at] = p.factor * v.re;
  out[p.total + at] = p.factor * v.im;
}

fn plus(a: Complex, b: Complex) -> Complex { return Complex(a.re + b.re, a.im + b.im); }
fn minus(a: Complex, b: Complex) -> Complex { return Complex(a.re - b.re, a.im - b.im); }

@compute @workgroup_size(WG)
fn direct(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  let q = p.n / (p.m * p.r);
  for (var i = first; i < min(first + PER, p.count); i++) {
    let o = i / p.inner % p.n;
    let base = i / (p.inner * p.n) * p.n * p.inner + i % p.inner;
    let k = o % (p.m * p.r);
    var place = o / (p.m * p.r) * p.m + k % p.m;
    var turn = 0u;
    var sum = Complex(T(0.0), T(0.0));
    for (var s = 0u; s < p.r; s++) {
      sum = plus(sum, turned(base, place, turn));
      place += q * p.m;
      turn = (turn + k * q) % p.n;
    }
    write(base, o, sum);
  }
}

@compute @workgroup_size(WG)
fn butterfly(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  let part = p.n / R;
  let q = part / p.m;
  for (var i = first; i < min(first + PER, p.count); i++) {
    let o = i / p.inner % part;
    let base = i / (p.inner * part) * p.n * p.inner + i % p.inner;
    let k = o % p.m;
    let to = o / p.m * p.m * R + k;
    let a = turned(base, o, 0u);
    let b = turned(base, o + part, k * q);
    //!if R == 2
    write(base, to, plus(a, b));
    write(base, to + p.m, minus(a, b));
    //!else
    let c = turned(base, o + 2u * part, 2u * k * q);
    let d = turned(base, o + 3u * part, 3u * k * q);
    let even = plus(a, c);
    let odd = plus(b, d);
    let rest = minus(a, c);
    let side = Complex(p.sign * (d.im - b.im), p.sign * (b.re - d.re));
    write(base, to, plus(even, odd));
    write(base, to + p.m, plus(rest, side));
    write(base, to + 2u * p.m, minus(even, odd));
    write(base, to + 3u * p.m, minus(rest, side));
    //!end
  }
}
