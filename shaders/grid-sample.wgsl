// Bilinear samples, zeros outside. source: f32[n, c, h, w] (x or its gradient), grid: vec2f[n, points] as (column, row) in
// [-1, 1] over the plane: from the centres of the border pixels where CORNERS is 1, else from their outer edges.
// forward:       out[n, c, point] = sum over the four neighbours of weight * x.
// backward:      out[n, c, h, w] = sum of weight * dy; an invocation owns one row of the planes of an image and walks through
//                all points in order, so the sums need no atomics and come out the same in every run.
// backward_grid: out[n, point] = derivative of sum(dy * forward) by column and row. One invocation a point.
const WG = 16u;
const CORNERS = 0u; //!param
struct Params { n: u32, c: u32, h: i32, w: i32, points: u32 }
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> grid: array<vec2f>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> out_grid: array<vec2f>;
@group(0) @binding(5) var<uniform> p: Params;

/// Column and row of a grid point, in pixels.
fn position(g: vec2f) -> vec2f {
  let size = vec2f(f32(p.w), f32(p.h));
  //!if CORNERS == 1
  return (g + 1.0) * 0.5 * (size - 1.0);
  //!else
  return ((g + 1.0) * size - 1.0) * 0.5;
  //!end
}

fn pixel(base: u32, at: vec2i) -> f32 {
  if (at.x < 0 || at.y < 0 || at.x >= p.w || at.y >= p.h) { return 0.0; }
  return source[base + u32(at.y * p.w + at.x)];
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let at = position(grid[i]);
  let low = floor(at);
  let t = at - low;
  let k = vec2i(low);
  let image = i / p.points;
  for (var c = 0u; c < p.c; c++) {
    let base = (image * p.c + c) * u32(p.h * p.w);
    let top = mix(pixel(base, k), pixel(base, k + vec2i(1, 0)), t.x);
    let bottom = mix(pixel(base, k + vec2i(0, 1)), pixel(base, k + vec2i(1, 1)), t.x);
    out[(image * p.c + c) * p.points + i % p.points] = mix(top, bottom, t.y);
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let row = i32(i) % p.h;
  let image = i / u32(p.h);
  let size = u32(p.h * p.w);
  let base = image * p.c * size + u32(row * p.w);
  for (var c = 0u; c < p.c; c++) {
    for (var k = 0u; k < u32(p.w); k++) { out[base + c * size + k] = 0.0; }
  }
  for (var k = 0u; k < p.points; k++) {
    let at = position(grid[image * p.points + k]);
    let up = 1.0 - abs(at.y - f32(row));
    if (up <= 0.0) { continue; }
    let low = floor(at.x);
    let t = at.x - low;
    let column = i32(low);
    for (var c = 0u; c < p.c; c++) {
      let v = up * dy[(image * p.c + c) * p.points + k];
      let to = base + c * size + u32(column);
      if (column >= 0 && column < p.w) { out[to] += (1.0 - t) * v; }
      if (column >= -1 && column < p.w - 1) { out[to + 1u] += t * v; }
    }
  }
}

@compute @workgroup_size(WG)
fn backward_grid(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let at = position(grid[i]);
  let low = floor(at);
  let t = at - low;
  let k = vec2i(low);
  let image = i / p.points;
  var sum = vec2f();
  for (var c = 0u; c < p.c; c++) {
    let base = (image * p.c + c) * u32(p.h * p.w);
    let v = vec4f(
      pixel(base, k),
      pixel(base, k + vec2i(1, 0)),
      pixel(base, k + vec2i(0, 1)),
      pixel(base, k + vec2i(1, 1)),
    );
    let d = dy[(image * p.c + c) * p.points + i % p.points];
    sum += d * vec2f(mix(v.y - v.x, v.w - v.z, t.y), mix(v.z - v.x, v.w - v.y, t.x));
  }
  out_grid[i] = sum * (position(vec2f(1.0)) - position(vec2f(-1.0))) * 0.5;
}
