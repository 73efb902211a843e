// One pass of a mixed-radix Fourier transform along an axis of n, for arrays [batch, n, inner] (Stockham: sorted by itself).
// With m the product of the radices of earlier passes, q = n / (m r), w = exp(-+ 2 pi i / n), and j < q, k < m r:
//   next[j, k] = sum over s < r of now[j + q s, k mod m] * w^(s k q);
// now[j, .] is the transform of length m of every (n/m)-th element from j on, so the first pass reads the data (m = 1) and the
// last one (q = 1) leaves the result. Positions are rotated by in_shift on reading and out_shift on writing (centred
// transforms). Real parts come from re, imaginary parts from im, `half` on (REAL: none); out holds both, one after another.
// Elements T are f32, or vec4f where inner allows. Reads 2 r and writes 2 numbers an element.
const WG = 64u;
const PER = 1u; //!param
const REAL = 0u; //!param
alias T = f32; //!param
struct Params {
  total: u32, n: u32, inner: u32, m: u32, r: u32, half: u32, in_shift: u32, out_shift: u32, sign: f32, factor: f32,
}
@group(0) @binding(0) var<storage, read> re: array<T>;
@group(0) @binding(1) var<storage, read> im: array<T>;
@group(0) @binding(2) var<storage, read> w: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<T>;
@group(0) @binding(4) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn fft_pass(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  let q = p.n / (p.m * p.r);
  for (var i = first; i < min(first + PER, p.total); i++) {
    let o = i / p.inner % p.n;
    let base = (i / (p.inner * p.n)) * p.n * p.inner + i % p.inner;
    let k = o % (p.m * p.r);
    let step = k * q;
    var place = o / (p.m * p.r) * p.m + k % p.m + p.in_shift;
    var turn = 0u;
    var sum_re = T(0.0);
    var sum_im = T(0.0);
    for (var s = 0u; s < p.r; s++) {
      let at = base + place % p.n * p.inner;
      let c = w[turn].x;
      let d = p.sign * w[turn].y;
      sum_re += c * re[at];
      sum_im += d * re[at];
      //!if REAL == 0
      sum_re -= d * im[p.half + at];
      sum_im += c * im[p.half + at];
      //!end
      place += q * p.m;
      turn = (turn + step) % p.n;
    }
    let to = base + (o + p.out_shift) % p.n * p.inner;
    out[to] = p.factor * sum_re;
    out[p.total + to] = p.factor * sum_im;
  }
}
