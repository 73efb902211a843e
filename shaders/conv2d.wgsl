// Convolution as implicit matrix products, any adapter: tiles of 64x64, sixteen of K at a time, 4x4 a thread of 256.
// input x: f32[N,C,H,W], weights w: f32[O,C,KH,KW], dy and the forward out: f32[N,O,OH,OW]; OH = (H + 2 padY - KH)/STRIDE + 1.
//   forward:        out[n,o,y,x] = bias[o] + sum over c,i,j of w[o,c,i,j] x[n,c,y STRIDE + i - padY, x STRIDE + j - padX]
//   inputGradient:  out[n,c,y,x] = bias[c] + sum over o,i,j of w[o,c,i,j] dy[n,o,(y + padY - i)/STRIDE, (x + padX - j)/STRIDE]
//   weightGradient: out[z][o,c,i,j] = sum over the pixels of slice z of dy x; sumSlices adds the slices up
// S is how x, w and out are stored (f16 in forward only). bias has `biased` = 0 where there is none. Rows of out are the M axis, columns (pixels, or weights of a channel) the N axis.
const KH = 3u; //!param
const KW = 3u; //!param
const STRIDE = 1u; //!param
alias S = f32; //!param
const T = KH * KW;
const PITCH = 65u;
struct Params { n: u32, c: u32, h: u32, w: u32, o: u32, oh: u32, ow: u32, padY: u32, padX: u32, biased: u32, slice: u32, slices: u32 }
@group(0) @binding(0) var<storage, read> input: array<S>;
@group(0) @binding(1) var<storage, read> weights: array<S>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<S>;
@group(0) @binding(5) var<uniform> p: Params;

var<workgroup> left: array<f32, 16u * PITCH>;
var<workgroup> right: array<f32, 16u * PITCH>;

// Zero past the last channel and outside the map. y and x are counted from the padding's corner; below padY or padX the
// differences wrap and fail the comparison.
fn inputAt(n: u32, c: u32, y: u32, x: u32) -> f32 {
  let iy = y - p.padY;
  let ix = x - p.padX;
  if (c >= p.c || iy >= p.h || ix >= p.w) { return 0.0; }
  return f32(input[((n * p.c + c) * p.h + iy) * p.w + ix]);
}

// dy where y and x, counted in pixels of the input, meet a pixel of the output, else zero. Below zero they wrap to numbers
// whose quotient is past the map.
fn dyAt(n: u32, o: u32, y: u32, x: u32) -> f32 {
  let oy = y / STRIDE;
  let ox = x / STRIDE;
  if (o >= p.o || y % STRIDE != 0u || x % STRIDE != 0u || oy >= p.oh || ox >= p.ow) { return 0.0; }
  return dy[((n * p.o + o) * p.oh + oy) * p.ow + ox];
}

// Value i of four that thread l stages of either side of a map's tile: left[k][row], k = l % 16; right[k][column], column = l % 64.
fn stage(l: u32, i: u32, a: f32, b: f32) {
  left[l % 16u * PITCH + l / 16u + 16u * i] = a;
  right[(l / 64u + 4u * i) * PITCH + l % 64u] = b;
}

// acc[i][j] += left[k][4 row + i] * right[k][column + 16 j] over the sixteen staged k; thread l has row l / 16, column l % 16.
fn multiply(acc: ptr<function, array<vec4f, 4>>, l: u32) {
  workgroupBarrier();
  for (var k = 0u; k < 16u; k++) {
    let a = k * PITCH + l / 16u * 4u;
    let r = k * PITCH + l % 16u;
    let b = vec4f(right[r], right[r + 16u], right[r + 32u], right[r + 48u]);
    (*acc)[0] = fma(vec4f(left[a]), b, (*acc)[0]);
    (*acc)[1] = fma(vec4f(left[a + 1u]), b, (*acc)[1]);
    (*acc)[2] = fma(vec4f(left[a + 2u]), b, (*acc)[2]);
    (*acc)[3] = fma(vec4f(left[a + 3u]), b, (*acc)[3]);
  }
  workgroupBarrier();
}

// out[n][row][pixel] = acc + bias[row] of the tile at (m0, n0): maps of `rows` channels and `plane` pixels.
fn storeMaps(acc: ptr<function, array<vec4f, 4>>, l: u32, m0: u32, n0: u32, rows: u32, plane: u32) {
  for (var i = 0u; i < 4u; i++) {
    let row = m0 + l / 16u * 4u + i;
    if (row >= rows) { return; }
    let b = select(0.0, bias[min(row, rows * p.biased)], p.biased > 0u);
    for (var j = 0u; j < 4u; j++) {
      let at = n0 + l % 16u + 16u * j;
      if (at < p.n * plane) { out[(at / plane * rows + row) * plane + at % plane] = S((*acc)[i][j] + b); }
    }
  }
}

@compute @workgroup_size(256)
fn forward(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) l: u32) {
  let m0 = wg.y * 64u;
  let n0 = (wg.z * wgs.x + wg.x) * 64u;
  let depth = p.c * T;
  let plane = p.oh * p.ow;
  let mine = min(n0 + l % 64u, p.n * plane - 1u);
  let image = mine / plane;
  let y = mine % plane / p.ow * STRIDE;
  let x = mine % p.ow * STRIDE;
  var acc: array<vec4f, 4>;
  for (var k0 = 0u; k0 < depth; k0 += 16u) {
    for (var i = 0u; i < 4u; i++) {
      let o = m0 + l / 16u + 16u * i;
      let kw = k0 + l % 16u;
      var a = 0.0;
      if (o < p.o && kw < depth) { a = f32(weights[o * depth + kw]); }
      let k = k0 + l / 64u + 4u * i;
      stage(l, i, a, inputAt(image, k / T, y + k % T / KW, x + k % KW));
    }
    multiply(&acc, l);
  }
  storeMaps(&acc, l, m0, n0, p.o, plane);
}

@compute @workgroup_size(256)
fn inputGradient(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) l: u32) {
  let m0 = wg.y * 64u;
  let n0 = (wg.z * wgs.x + wg.x) * 64u;
  let depth = p.o * T;
  let plane = p.h * p.w;
  let mine = min(n0 + l % 64u, p.n * plane - 1u);
  let image = mine / plane;
  let y = mine % plane / p.w + p.padY;
  let x = mine % p.w + p.padX;
  var acc: array<vec4f, 4>;
  for (var k0 = 0u; k0 < depth; k0 += 16u) {
    for (var i = 0u; i < 4u; i++) {
      let c = m0 + l / 16u + 16u * i;
      let kw = k0 + l % 16u;
      var a = 0.0;
      if (c < p.c && kw < depth) { a = f32(weights[(kw / T * p.c + c) * T + kw % T]); }
      let k = k0 + l / 64u + 4u * i;
      stage(l, i, a, dyAt(image, k / T, y - k % T / KW, x - k % KW));
    }
    multiply(&acc, l);
  }
  storeMaps(&acc, l, m0, n0, p.c, plane);
}

@compute @workgroup_size(256)
fn weightGradient(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  let m0 = wg.y * 64u;
  let n0 = wg.x * 64u;
  let columns = p.c * T;
  let plane = p.oh * p.ow;
  let end = min(p.n * plane, (wg.z + 1u) * p.slice);
  var acc: array<vec4f, 4>;
  for (var k0 = wg.z * p.slice; k0 < end; k0 += 16u) {
    let k = k0 + l % 16u;
    let image = k / plane;
    let at = k % plane;
    let y = at / p.ow * STRIDE;
    let x = at % p.ow * STRIDE;
    for (var i = 0u; i < 4u; i++) {
      let mn = l / 16u + 16u * i;
      let q = n0 + mn;
      var a = 0.0;
      var b = 0.0;
      if (k < end && m0 + mn < p.o) { a = dy[(image * p.o + m0 + mn) * plane + at]; }
      if (k < end) { b = inputAt(image, q / T, y + q % T / KW, x + q % KW); }
      left[l % 16u * PITCH + mn] = a;
      right[l % 16u * PITCH + mn] = b;
    }
    multiply(&acc, l);
  }
  for (var i = 0u; i < 4u; i++) {
    let o = m0 + l / 16u * 4u + i;
    for (var j = 0u; j < 4u; j++) {
      let q = n0 + l % 16u + 16u * j;
      if (o < p.o && q < columns) { out[(wg.z * p.o + o) * columns + q] = S(acc[i][j]); }
    }
  }
}

@compute @workgroup_size(64)
fn sumSlices(@builtin(global_invocation_id) id: vec3u) {
  let n = p.o * p.c * T;
  if (id.x >= n) { return; }
  var s = 0.0;
  for (var z = 0u; z < p.slices; z++) { s += f32(input[z * n + id.x]); }
  out[id.x] = S(s);
}
