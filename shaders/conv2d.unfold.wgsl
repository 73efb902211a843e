// A convolution of any kernel, stride and padding as a matrix product (conv2d.product.wgsl): its columns, and back.
// Images first .. first + n - 1 of x: f32[.,c,h,w]; k runs over (c, i, j) of the kernel; Q = ceil(oh ow / 4) quads of pixels an image.
//   unfold:     out4[k][n Q + quad] = the pixels of x that tap k meets, zero in the padding and past the last pixel
//   unfoldLast: out4[n oh ow + pixel][k / 4], the same with k last, zero past the last k
//   fold:       out[n,c,y,x] = bias[c] + sum over the taps k that meet it of columns[k][4 n Q + pixel]
const KH = 3u; //!param
const KW = 3u; //!param
const STRIDE = 2u; //!param
const WG = 64u;
alias X = f32; //!param
const T = KH * KW;
struct Params { first: u32, n: u32, c: u32, h: u32, w: u32, oh: u32, ow: u32, padY: u32, padX: u32, biased: u32 }
@group(0) @binding(0) var<storage, read> input: array<X>;
@group(0) @binding(1) var<storage, read> bias: array<f32>;
@group(0) @binding(2) var<storage, read_write> out: array<f32>;
@group(0) @binding(3) var<storage, read_write> out4: array<vec4f>;
@group(0) @binding(4) var<uniform> p: Params;

fn quads() -> u32 { return (p.oh * p.ow + 3u) / 4u; }

/** Pixel `pixel` of the map that tap k sees of image n; differences below zero wrap and fail the comparison. */
fn at(n: u32, k: u32, pixel: u32) -> f32 {
  let y = pixel / p.ow * STRIDE + k % T / KW - p.padY;
  let x = pixel % p.ow * STRIDE + k % KW - p.padX;
  if (y >= p.h || x >= p.w || pixel >= p.oh * p.ow || k >= p.c * T) { return 0.0; }
  return f32(input[(((p.first + n) * p.c + k / T) * p.h + y) * p.w + x]);
}

@compute @workgroup_size(WG)
fn unfold(@builtin(global_invocation_id) id: vec3u) {
  let q = quads();
  if (id.x >= p.n * q) { return; }
  let n = id.x / q;
  let i = id.x % q * 4u;
  out4[id.y * p.n * q + id.x] = vec4f(at(n, id.y, i), at(n, id.y, i + 1u), at(n, id.y, i + 2u), at(n, id.y, i + 3u));
}

@compute @workgroup_size(WG)
fn unfoldLast(@builtin(global_invocation_id) id: vec3u) {
  let plane = p.oh * p.ow;
  if (id.x >= p.n * plane) { return; }
  let n = id.x / plane;
  let i = id.x % plane;
  let k = id.y * 4u;
  out4[id.x * ((p.c * T + 3u) / 4u) + id.y] = vec4f(at(n, k, i), at(n, k + 1u, i), at(n, k + 2u, i), at(n, k + 3u, i));
}

@compute @workgroup_size(WG)
fn fold(@builtin(global_invocation_id) id: vec3u) {
  let plane = p.h * p.w;
  if (id.x >= p.n * plane) { return; }
  let n = id.x / plane;
  let y = id.x % plane / p.w + p.padY;
  let x = id.x % p.w + p.padX;
  let pitch = p.n * quads() * 4u;
  var s = select(0.0, bias[id.y * p.biased], p.biased > 0u);
  for (var i = 0u; i < KH; i++) {
    let oy = (y - i) / STRIDE;
    if ((y - i) % STRIDE != 0u || oy >= p.oh) { continue; }
    for (var j = 0u; j < KW; j++) {
      let ox = (x - j) / STRIDE;
      if ((x - j) % STRIDE != 0u || ox >= p.ow) { continue; }
      s += f32(input[(id.y * T + i * KW + j) * pitch + n * quads() * 4u + oy * p.ow + ox]);
    }
  }
  out[((p.first + n) * p.c + id.y) * plane + id.x % plane] = s;
}
