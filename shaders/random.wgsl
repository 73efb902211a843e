// Random f32[images, size]: values 4b..4b+3 of an image come from Philox words of counter (b, image number, stream) and key
// seed, so they depend on nothing else. A thread four values; a cell is T: four values where 4 divides size, else one.
//   uniform: (word >> 8)*2^-24 in [0, 1);   normal: Box-Muller on the pairs of words, |value| <= 6.77;   words: u32 as they are
// Logarithm, sine and cosine are polynomials: WGSL's own may be wrong by 2^-11. Moves 4 bytes a value.
const WG = 64u;
const V = 4u; //!param
alias T = vec4f; //!param
alias W = vec4u; //!param
struct Params {
  images: u32, size: u32, blocks: u32, first: u32, stream_low: u32, stream_high: u32, seed_low: u32, seed_high: u32,
}
@group(0) @binding(0) var<storage, read_write> out: array<T>;
@group(0) @binding(1) var<storage, read_write> out_words: array<W>;
@group(0) @binding(2) var<uniform> p: Params;
//!include lib/philox.wgsl

fn draw(i: u32) -> vec4u {
  return philox(
    vec4u(i % p.blocks, p.first + i / p.blocks, p.stream_low, p.stream_high), vec2u(p.seed_low, p.seed_high),
  );
}

fn store(i: u32, v: vec4f) {
  //!if V == 4
  out[i] = v;
  //!else
  let at = 4u * (i % p.blocks);
  let base = i / p.blocks * p.size;
  for (var k = 0u; k < min(4u, p.size - at); k++) { out[base + at + k] = v[k]; }
  //!end
}

// ln of (w + 0.5)/2^32, to a few 2^-24 of itself everywhere: near 1 from the complement, which is exact.
fn log_of(w: u32) -> f32 {
  var s: f32;
  var exponent = 0.0;
  if (w >= 0xb504f334u) {
    let d = (f32(~w) + 0.5) * 0x1p-32f;
    s = -d / (2.0 - d);
  } else {
    let bits = bitcast<u32>(f32(w) + 0.5);
    exponent = f32(i32(bits >> 23u) - 127 - 32);
    var m = bitcast<f32>((bits & 0x7fffffu) | 0x3f800000u);
    if (m > 1.41421356) {
      m *= 0.5;
      exponent += 1.0;
    }
    s = (m - 1.0) / (m + 1.0);
  }
  // ln((1+s)/(1-s)), |s| <= 0.1716: the next term is below 2^-28 of the first.
  let z = s * s;
  let series = 2.0 + z * (0.66666667 + z * (0.4 + z * (0.28571429 + z * 0.22222222)));
  return exponent * 0.69314718 + s * series;
}

// (cos, sin) of 2*pi*w/2^32: the quadrant exactly, then minimax polynomials on -pi/4..pi/4 (Moshier's Cephes).
fn turn(w: u32) -> vec2f {
  let quadrant = (w + 0x20000000u) >> 30u;
  let a = f32(bitcast<i32>(w - (quadrant << 30u))) * 1.4629180793e-9;
  let z = a * a;
  let s = a + a * z * (-1.6666654611e-1 + z * (8.3321608736e-3 - z * 1.9515295891e-4));
  let c = 1.0 - 0.5 * z + z * z * (4.1666645683e-2 + z * (-1.3887316255e-3 + z * 2.4433157118e-5));
  let r = select(vec2f(c, s), vec2f(-s, c), (quadrant & 1u) == 1u);
  return select(r, -r, quadrant >= 2u);
}

@compute @workgroup_size(WG)
fn uniform_values(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.images * p.blocks) { return; }
  store(i, vec4f(draw(i) >> vec4u(8u)) * 0x1p-24f);
}

@compute @workgroup_size(WG)
fn normal_values(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.images * p.blocks) { return; }
  let w = draw(i);
  let a = sqrt(-2.0 * log_of(w.x)) * turn(w.y);
  let b = sqrt(-2.0 * log_of(w.z)) * turn(w.w);
  store(i, vec4f(a, b));
}

@compute @workgroup_size(WG)
fn words(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.images * p.blocks) { return; }
  let w = draw(i);
  //!if V == 4
  out_words[i] = w;
  //!else
  let at = 4u * (i % p.blocks);
  let base = i / p.blocks * p.size;
  for (var k = 0u; k < min(4u, p.size - at); k++) { out_words[base + at + k] = w[k]; }
  //!end
}
