// Winograd F(4x4, 3x3) for 3x3 convolutions of stride 1 and padding 1: sides in tiles of 4x4, each with its border of 6x6.
// Lavin and Gray 2016 (arXiv 1509.09308), but with the points 0, ±3/4, ±3/2 and infinity, whose rounding errors are half of those of
// the usual 0, ±1, ±2 (point selection: Alam et al. 2022, arXiv 2201.10369). With B, G, A of these points:
//   inputTransform     V = Bᵀ x B      6x6 input to element e of [36]
//   weightTransform    U = G w Gᵀ      a flipped and transposed w makes the convolution an input gradient
//   outputTransform    y = Aᵀ M A + bias (+ residual),  M[e] = U[e] V[e]
//   gradientTransform  E = A dy Aᵀ     and weightInverse dw = Gᵀ (sum over tiles of E[e] V[e]ᵀ) G
// A call does the tiles of some rows, the first of which is row `first` of the batch, tilesY of them an image. A value of tile t and channel c lies at e·element + c·channel + t·tile of its workspace.
// Tiles from `tiles` up to `padded` (a multiple of four) are written as zero. X and Y are how input and out are stored: workspaces in f32, tensors as they come. Widths that are no multiple of four take the Ragged entry points.
const WG = 32u;
alias X = f32; //!param
alias Y = f32; //!param
struct Params {
  first: u32, c: u32, h: u32, w: u32, tilesX: u32, tilesY: u32, tiles: u32, padded: u32,
  element: u32, channel: u32, tile: u32, biased: u32, added: u32, points: u32,
}
struct Place { x: u32, y: u32, plane: u32, to: u32, ok: bool }
@group(0) @binding(0) var<storage, read> input: array<X>;
@group(0) @binding(1) var<storage, read> input4: array<vec4<X>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<Y>;
@group(0) @binding(4) var<storage, read_write> out4: array<vec4<Y>>;
@group(0) @binding(5) var<uniform> p: Params;
@group(0) @binding(6) var<storage, read> residual: array<Y>;
@group(0) @binding(7) var<storage, read> residual4: array<vec4<Y>>;

/** Tile, rows of its channel's plane before it, and its place in the workspace. */
fn place(id: vec3u) -> Place {
  let t = id.x;
  let band = p.first + t / p.tilesX;
  let image = band / p.tilesY;
  return Place(t % p.tilesX, band % p.tilesY, (image * p.c + id.y) * p.h, id.y * p.channel + t * p.tile, t < p.tiles);
}

fn inputColumns4(d: array<vec4f, 6>) -> array<vec4f, 6> {
  let a = d[4] - 2.25 * d[2];
  let b = 0.75 * d[3] - 1.6875 * d[1];
  let e = d[4] - 0.5625 * d[2];
  let f = 1.5 * d[3] - 0.84375 * d[1];
  return array<vec4f, 6>(1.265625 * d[0] - 2.8125 * d[2] + d[4], a + b, a - b, e + f, e - f, 1.265625 * d[1] - 2.8125 * d[3] + d[5]);
}
fn inputColumns2(d: array<vec2f, 6>) -> array<vec2f, 6> {
  let a = d[4] - 2.25 * d[2];
  let b = 0.75 * d[3] - 1.6875 * d[1];
  let e = d[4] - 0.5625 * d[2];
  let f = 1.5 * d[3] - 0.84375 * d[1];
  return array<vec2f, 6>(1.265625 * d[0] - 2.8125 * d[2] + d[4], a + b, a - b, e + f, e - f, 1.265625 * d[1] - 2.8125 * d[3] + d[5]);
}
/** Stores Bᵀ d B; d has columns 1 to 4 in `middle`, 0 and 5 in `edge`. */
fn storeInput(middle: array<vec4f, 6>, edge: array<vec2f, 6>, to: u32) {
  let m = inputColumns4(middle);
  let g = inputColumns2(edge);
  for (var i = 0u; i < 6u; i++) {
    let d = m[i];
    let z = g[i];
    let a = d.w - 2.25 * d.y;
    let b = 0.75 * d.z - 1.6875 * d.x;
    let e = d.w - 0.5625 * d.y;
    let f = 1.5 * d.z - 0.84375 * d.x;
    let at = to + 6u * i * p.element;
    out[at] = Y(1.265625 * z.x - 2.8125 * d.y + d.w);
    out[at + p.element] = Y(a + b);
    out[at + 2u * p.element] = Y(a - b);
    out[at + 3u * p.element] = Y(e + f);
    out[at + 4u * p.element] = Y(e - f);
    out[at + 5u * p.element] = Y(1.265625 * d.x - 2.8125 * d.z + z.y);
  }
}

@compute @workgroup_size(WG)
fn inputTransform(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.padded) { return; }
  let at = place(id);
  let width = p.w / 4u;
  var middle: array<vec4f, 6>;
  var edge: array<vec2f, 6>;
  for (var i = 0u; i < 6u; i++) {
    let y = at.y * 4u + i - 1u;
    if (at.ok && y < p.h) {
      let r = (at.plane + y) * width + at.x;
      middle[i] = vec4f(input4[r]);
      if (at.x > 0u) { edge[i].x = f32(input4[r - 1u].w); }
      if (at.x + 1u < width) { edge[i].y = f32(input4[r + 1u].x); }
    }
  }
  storeInput(middle, edge, at.to);
}

fn pixel(plane: u32, y: u32, x: u32) -> f32 {
  if (y >= p.h || x >= p.w) { return 0.0; }
  return f32(input[(plane + y) * p.w + x]);
}
fn row(plane: u32, y: u32, x: u32) -> vec4f {
  return vec4f(pixel(plane, y, x), pixel(plane, y, x + 1u), pixel(plane, y, x + 2u), pixel(plane, y, x + 3u));
}

@compute @workgroup_size(WG)
fn inputTransformRagged(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.padded) { return; }
  let at = place(id);
  var middle: array<vec4f, 6>;
  var edge: array<vec2f, 6>;
  if (at.ok) {
    for (var i = 0u; i < 6u; i++) {
      let y = at.y * 4u + i - 1u;
      middle[i] = row(at.plane, y, at.x * 4u);
      edge[i] = vec2f(pixel(at.plane, y, at.x * 4u - 1u), pixel(at.plane, y, at.x * 4u + 4u));
    }
  }
  storeInput(middle, edge, at.to);
}

/** Stores A d Aᵀ of a 4x4 tile. Rows go through a loop over `points` = 6: unrolled it takes twice as long to compile, a tenth less to run. */
fn storeGradient(d: array<vec4f, 4>, to: u32) {
  let a = d[0] + 0.5625 * d[2];
  let b = 0.75 * d[1] + 0.421875 * d[3];
  let e = d[0] + 2.25 * d[2];
  let f = 1.5 * d[1] + 3.375 * d[3];
  var rows = array<vec4f, 6>(d[0], a + b, a - b, e + f, e - f, d[3]);
  for (var i = 0u; i < p.points; i++) {
    let v = rows[i];
    let g = v.x + 0.5625 * v.z;
    let h = 0.75 * v.y + 0.421875 * v.w;
    let j = v.x + 2.25 * v.z;
    let k = 1.5 * v.y + 3.375 * v.w;
    let at = to + 6u * i * p.element;
    out[at] = Y(v.x);
    out[at + p.element] = Y(g + h);
    out[at + 2u * p.element] = Y(g - h);
    out[at + 3u * p.element] = Y(j + k);
    out[at + 4u * p.element] = Y(j - k);
    out[at + 5u * p.element] = Y(v.w);
  }
}

@compute @workgroup_size(WG)
fn gradientTransform(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.padded) { return; }
  let at = place(id);
  var d: array<vec4f, 4>;
  for (var i = 0u; i < 4u; i++) {
    let y = at.y * 4u + i;
    if (at.ok && y < p.h) { d[i] = vec4f(input4[(at.plane + y) * (p.w / 4u) + at.x]); }
  }
  storeGradient(d, at.to);
}

@compute @workgroup_size(WG)
fn gradientTransformRagged(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.padded) { return; }
  let at = place(id);
  var d: array<vec4f, 4>;
  if (at.ok) {
    for (var i = 0u; i < 4u; i++) { d[i] = row(at.plane, at.y * 4u + i, at.x * 4u); }
  }
  storeGradient(d, at.to);
}

fn outputRow(m: vec4f, edge: vec2f) -> vec4f {
  // m: elements 0 to 3, edge: 4 and 5.
  let a = m.y + m.z;
  let b = m.y - m.z;
  let c = m.w + edge.x;
  let d = m.w - edge.x;
  return vec4f(m.x + a + c, 0.75 * b + 1.5 * d, 0.5625 * a + 2.25 * c, 0.421875 * b + 3.375 * d + edge.y);
}
/** Aᵀ M A + bias of one tile: four rows of four pixels. */
fn outputTile(at: u32, channel: u32) -> array<vec4f, 4> {
  var m: array<vec4f, 6>;
  var g: array<vec2f, 6>;
  for (var i = 0u; i < 6u; i++) {
    let from_ = at + 6u * i * p.element;
    m[i] = vec4f(f32(input[from_]), f32(input[from_ + p.element]), f32(input[from_ + 2u * p.element]), f32(input[from_ + 3u * p.element]));
    g[i] = vec2f(f32(input[from_ + 4u * p.element]), f32(input[from_ + 5u * p.element]));
  }
  let b = vec4f(select(0.0, bias[channel * p.biased], p.biased > 0u));
  return array<vec4f, 4>(
    b + outputRow(m[0] + m[1] + m[2] + m[3] + m[4], g[0] + g[1] + g[2] + g[3] + g[4]),
    b + outputRow(0.75 * (m[1] - m[2]) + 1.5 * (m[3] - m[4]), 0.75 * (g[1] - g[2]) + 1.5 * (g[3] - g[4])),
    b + outputRow(0.5625 * (m[1] + m[2]) + 2.25 * (m[3] + m[4]), 0.5625 * (g[1] + g[2]) + 2.25 * (g[3] + g[4])),
    b + outputRow(0.421875 * (m[1] - m[2]) + 3.375 * (m[3] - m[4]) + m[5], 0.421875 * (g[1] - g[2]) + 3.375 * (g[3] - g[4]) + g[5]),
  );
}

@compute @workgroup_size(WG)
fn outputTransform(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.tiles) { return; }
  let at = place(id);
  let y = outputTile(at.to, id.y);
  for (var i = 0u; i < p.points - 2u; i++) {
    if (at.y * 4u + i < p.h) {
      let to = (at.plane + at.y * 4u + i) * (p.w / 4u) + at.x;
      var v = y[i];
      if (p.added > 0u) { v += vec4f(residual4[to]); }
      out4[to] = vec4<Y>(v);
    }
  }
}

@compute @workgroup_size(WG)
fn outputTransformRagged(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= p.tiles) { return; }
  let at = place(id);
  let y = outputTile(at.to, id.y);
  for (var i = 0u; i < 4u; i++) {
    let v = y[i];
    for (var j = 0u; j < 4u; j++) {
      if (at.y * 4u + i < p.h && at.x * 4u + j < p.w) {
        let to = (at.plane + at.y * 4u + i) * p.w + at.x * 4u + j;
        var u = v[j];
        if (p.added > 0u) { u += f32(residual[to]); }
        out[to] = Y(u);
      }
    }
  }
}
