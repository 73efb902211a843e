// sin(v) and cos(v) to about 1e-7 absolute for |v| up to some thousands: WGSL only promises 2^-11, and SwiftShader takes it.
// v = k pi/2 + r with pi/2 in three parts (Cody and Waite), then polynomials for |r| <= pi/4 (Cephes' sinf and cosf). The parts are
// taken off by fma, which compilers that reassociate sums (Metal's fast mathematics) leave as they are.
struct Sine { sin: vec4f, cos: vec4f }
fn sine(v: vec4f) -> Sine {
  let k = round(v * 0.63661977);
  let rest = fma(-k, vec4f(4.8375129699707031e-4), fma(-k, vec4f(1.5703125), v));
  let r = fma(-k, vec4f(7.5497899548918822e-8), rest);
  let q = r * r;
  let s = r + r * q * (-1.6666654611e-1 + q * (8.3321608736e-3 - q * 1.9515295891e-4));
  let c = 1.0 - 0.5 * q + q * q * (4.166664568298827e-2 + q * (-1.388731625493765e-3 + q * 2.443315711809948e-5));
  let turn = vec4i(k) & vec4i(3);
  let odd = (turn & vec4i(1)) == vec4i(1);
  let sine_sign = select(vec4f(1.0), vec4f(-1.0), turn >= vec4i(2));
  let cosine_sign = select(vec4f(1.0), vec4f(-1.0), (turn == vec4i(1)) | (turn == vec4i(2)));
  return Sine(sine_sign * select(s, c, odd), cosine_sign * select(c, s, odd));
}
