// Convolution as implicit matrix products, any adapter: tiles of TM rows and 64 columns, sixteen of K at a time, 8x4 a thread.
// K runs tap by tap over CP channels at least: with 16 a slice of K lies in one tap and a thread's pixel has one place in it; with
// 1 or 4, for as few channels, it holds 16 / CP taps. Weights are packed for that first, rows fastest, in vec4s. A thread reads 12
// numbers by six loads of workgroup memory for 32 multiplications (4x4 from scalars: eight loads for 16).
//   pack:           packed[tap][k][row / 4] = w of that row, k and tap; zero past the last row and the last k of a tap
//   maps, GRAD = 0: out[n,o,y,x] = bias[o] + sum over c,i,j of w[o,c,i,j] x[n,c,y STRIDE + i - padY, x STRIDE + j - padX] + residual[n,o,y,x]
//   maps, GRAD = 1: out[n,c,y,x] = bias[c] + sum over o,i,j of w[o,c,i,j] dy[n,o,(y + padY - i)/STRIDE, (x + padX - j)/STRIDE]
//   weightGradient: out[z][o,c,i,j] = sum over the pixels of slice z of dy x
// `input` is what maps reads, [n, k, h, w]; `out` is [n, rows, oh, ow]. Few tiles leave a GPU idle: K is cut into slices then, whose
// sums go to out[z] (conv2d.slices.wgsl adds them up). S, W4 and Y are how the input, the packed weights and out are stored. bias has
// `biased` = 0 where there is none, residual `added` = 0.
// Staging goes through loops: written out eight times, with loads before stores, SwiftShader compiled it for minutes and ended.
const KH = 3u; //!param
const KW = 3u; //!param
const STRIDE = 1u; //!param
const GRAD = 0u; //!param
const TM = 64u; //!param
const CP = 16u; //!param
alias S = f32; //!param
alias W4 = vec4f; //!param
alias Y = f32; //!param
const T = KH * KW;
const THREADS = 2u * TM;
const PITCH = 66u; // of a staged line of 64, against bank conflicts
const LEFT = TM / 4u + 1u; // vec4s of a staged line: one more than the tile has
const NONE = 0xffffffffu;
const e = 0u; //!drop
struct Params { n: u32, k: u32, h: u32, w: u32, rows: u32, oh: u32, ow: u32, padY: u32, padX: u32, biased: u32, slice: u32, slices: u32, added: u32, rowStep: u32, depthStep: u32 }
@group(0) @binding(0) var<storage, read> input: array<S>;
@group(0) @binding(1) var<storage, read> packed: array<W4>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<Y>;
@group(0) @binding(5) var<uniform> p: Params;
@group(0) @binding(6) var<storage, read_write> packing: array<W4>;
@group(0) @binding(7) var<storage, read> residual: array<Y>;

var<workgroup> left: array<vec4f, 16u * LEFT>;
var<workgroup> right: array<f32, 16u * PITCH>;

/** Slices of sixteen k that a tap has, with CP = 16. */
fn steps() -> u32 { return (p.k + 15u) / 16u; }

/** Packed k of a tap. */
fn width() -> u32 {
  //!if CP == 16
  return steps() * 16u;
  //!else
  return CP;
  //!end
}

// A thread packs sixteen taps, which lie side by side in w: the cache serves all but the first.
@compute @workgroup_size(16, 4)
fn pack(@builtin(global_invocation_id) id: vec3u) {
  let quads = (p.rows + 3u) / 4u;
  let k = id.y;
  if (id.x >= quads || k >= width()) { return; }
  for (var tap = id.z * 16u; tap < min(T, id.z * 16u + 16u); tap++) {
    var v = W4();
    //!repeat e 0..4
    if (id.x * 4u + e < p.rows && k < p.k) { v[e] = input[(id.x * 4u + e) * p.rowStep + k * p.depthStep + tap]; }
    //!end
    packing[(tap * width() + k) * quads + id.x] = v;
  }
}

// Place in the input of what tap (i, j) sees of channel 0 from pixel (y, x) of out, or NONE outside of the map; differences below
// zero wrap and fail the comparison.
fn seen(n: u32, y: u32, x: u32, i: u32, j: u32) -> u32 {
  //!if GRAD == 1
  let uy = y + p.padY - i;
  let ux = x + p.padX - j;
  let iy = uy / STRIDE;
  let ix = ux / STRIDE;
  if (uy % STRIDE != 0u || ux % STRIDE != 0u || iy >= p.h || ix >= p.w) { return NONE; }
  //!else
  let iy = y * STRIDE + i - p.padY;
  let ix = x * STRIDE + j - p.padX;
  if (iy >= p.h || ix >= p.w) { return NONE; }
  //!end
  return (n * p.k * p.h + iy) * p.w + ix;
}

// acc[i] += left[k][8 row + i] * right[k][column + 16 j], j = 0 .. 3, over the sixteen staged k; thread l has row l / 16, column l % 16.
fn multiply(acc: ptr<function, array<vec4f, 8>>, l: u32) {
  // The remainder changes nothing; from it Dawn's compiler knows that no index of the loop needs to be clamped.
  let row = l / 16u % (TM / 8u);
  workgroupBarrier();
  for (var k = 0u; k < 16u; k++) {
    let a = left[k * LEFT + row * 2u];
    let c = left[k * LEFT + row * 2u + 1u];
    let r = k * PITCH + l % 16u;
    let b = vec4f(right[r], right[r + 16u], right[r + 32u], right[r + 48u]);
    //!repeat e 0..4
    (*acc)[e] = fma(vec4f(a[e]), b, (*acc)[e]);
    (*acc)[e + 4u] = fma(vec4f(c[e]), b, (*acc)[e + 4u]);
    //!end
  }
  workgroupBarrier();
}

@compute @workgroup_size(THREADS)
fn maps(@builtin(workgroup_id) wg: vec3u, @builtin(num_workgroups) wgs: vec3u, @builtin(local_invocation_index) l: u32) {
  let sliced = p.slices > 1u;
  let m0 = wg.y * TM;
  let n0 = (select(wg.z, 0u, sliced) * wgs.x + wg.x) * 64u;
  let plane = p.oh * p.ow;
  let size = p.h * p.w;
  let quads = (p.rows + 3u) / 4u;
  //!if CP == 16
  let each = steps();
  let count = T * each;
  //!else
  let count = (T * CP + 15u) / 16u;
  //!end
  let first = select(0u, wg.z * p.slice, sliced);
  let end = min(count, first + p.slice);
  let mine = min(n0 + l % 64u, p.n * plane - 1u);
  let image = mine / plane;
  let y = mine % plane / p.ow;
  let x = mine % p.ow;
  //!if CP == 16
  var tap = first / each;
  var step = first % each;
  //!end
  var acc: array<vec4f, 8>;
  for (var slice = first; slice < end; slice++) {
    for (var i = 0u; i < 2u; i++) {
      let k = (l + THREADS * i) / (TM / 4u);
      let quad = (l + THREADS * i) % (TM / 4u);
      var a = vec4f();
      if (m0 / 4u + quad < quads && slice * 16u + k < T * width()) {
        a = vec4f(packed[(slice * 16u + k) * quads + m0 / 4u + quad]);
      }
      left[k * LEFT + quad] = a;
    }
    //!if CP == 16
    let place = seen(image, y, x, tap / KW, tap % KW);
    //!end
    for (var i = 0u; i < 1024u / THREADS; i++) {
      let k = l / 64u + THREADS / 64u * i;
      var b = 0.0;
      //!if CP == 16
      if (place != NONE && step * 16u + k < p.k) { b = f32(input[place + (step * 16u + k) * size]); }
      //!else
      let tap = (slice * 16u + k) / CP;
      let place = seen(image, y, x, tap / KW, tap % KW);
      if (tap < T && k % CP < p.k && place != NONE) { b = f32(input[place + k % CP * size]); }
      //!end
      right[k * PITCH + l % 64u] = b;
    }
    multiply(&acc, l);
    //!if CP == 16
    step++;
    if (step == each) {
      step = 0u;
      tap++;
    }
    //!end
  }
  let to = select(0u, wg.z * p.n * p.rows * plane, sliced);
  for (var i = 0u; i < 8u; i++) {
    let row = m0 + l / 16u * 8u + i;
    if (row >= p.rows) { return; }
    let b = select(0.0, bias[min(row, p.rows * p.biased)], p.biased > 0u && !sliced);
    for (var j = 0u; j < 4u; j++) {
      let at = n0 + l % 16u + 16u * j;
      if (at >= p.n * plane) { continue; }
      let place = (at / plane * p.rows + row) * plane + at % plane;
      var v = acc[i][j] + b;
      if (p.added > 0u && !sliced) { v += f32(residual[place]); }
      out[to + place] = Y(v);
    }
  }
}

@compute @workgroup_size(THREADS)
fn weightGradient(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  let m0 = wg.y * TM;
  let n0 = wg.x * 64u;
  let columns = p.k * T;
  let plane = p.oh * p.ow;
  let end = min(p.n * plane, (wg.z + 1u) * p.slice);
  var acc: array<vec4f, 8>;
  for (var k0 = wg.z * p.slice; k0 < end; k0 += 16u) {
    let k = k0 + l % 16u;
    let image = k / plane;
    let at = k - image * plane;
    let y = at / p.ow;
    let x = at - y * p.ow;
    let origin = (image * p.rows + m0) * plane + at;
    for (var i = 0u; i < 2u; i++) {
      let quad = l / 16u + THREADS / 16u * i;
      var a = vec4f();
      //!repeat e 0..4
      if (k < end && m0 + quad * 4u + e < p.rows) { a[e] = dy[origin + (quad * 4u + e) * plane]; }
      //!end
      left[l % 16u * LEFT + quad] = a;
    }
    for (var i = 0u; i < 1024u / THREADS; i++) {
      let column = l / 16u + THREADS / 16u * i;
      let q = n0 + column;
      let place = seen(image, y, x, q % T / KW, q % KW);
      var b = 0.0;
      if (k < end && q < columns && place != NONE) { b = f32(input[place + q / T * p.h * p.w]); }
      right[l % 16u * PITCH + column] = b;
    }
    multiply(&acc, l);
  }
  for (var i = 0u; i < 8u; i++) {
    let row = m0 + l / 16u * 8u + i;
    for (var j = 0u; j < 4u; j++) {
      let q = n0 + l % 16u + 16u * j;
      if (row < p.rows && q < columns) { out[(wg.z * p.rows + row) * columns + q] = Y(acc[i][j]); }
    }
  }
}
