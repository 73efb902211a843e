// Parallel-beam Radon transform. A picture of h x w pixels lies in the middle of a square of l x l, `left` and `top` from its
// corner. For each angle, the square's lattice of points is turned about the centre and the picture sampled there, bilinear,
// zeros outside. image: f32[planes, h, w], rays: f32[planes, l, angles], directions: vec2f[angles] = (cos, sin).
// forward: rays[d, a] = sum over rows r of the sample at point (d, r). One invocation a ray.
// adjoint: the transpose: image[i, j] = sum over angles and the points within reach of pixel (i, j) of weight * rays[d, a].
// smear:   image[i, j] = sum over angles of rays at the pixel's place on the detector, linear between two, zeros outside.
const WG = 64u;
struct Params { planes: u32, h: u32, w: u32, l: u32, angles: u32, left: u32, top: u32 }
@group(0) @binding(0) var<storage, read> image: array<f32>;
@group(0) @binding(1) var<storage, read> rays: array<f32>;
@group(0) @binding(2) var<storage, read> directions: array<vec2f>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<uniform> p: Params;

fn pixel(plane: u32, at: vec2i) -> f32 {
  if (at.x < 0 || at.y < 0 || at.x >= i32(p.w) || at.y >= i32(p.h)) { return 0.0; }
  return image[(plane * p.h + u32(at.y)) * p.w + u32(at.x)];
}

/// The square's centre, in lattice units.
fn middle() -> f32 { return 0.5 * f32(p.l - 1u); }

/// A pixel (column, row) of the picture from the square's centre.
fn from_middle(i: u32) -> vec2f {
  return vec2f(f32(i % p.w + p.left), f32(i / p.w % p.h + p.top)) - middle();
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.planes * p.l * p.angles) { return; }
  let turn = directions[i % p.angles];
  let plane = i / (p.angles * p.l);
  let d = f32(i / p.angles % p.l) - middle();
  let origin = middle() - vec2f(f32(p.left), f32(p.top));
  var sum = 0.0;
  for (var r = 0u; r < p.l; r++) {
    let e = f32(r) - middle();
    let at = vec2f(d * turn.x + e * turn.y, e * turn.x - d * turn.y) + origin;
    let low = floor(at);
    let t = at - low;
    let k = vec2i(low);
    if (k.x < -1 || k.y < -1 || k.x >= i32(p.w) || k.y >= i32(p.h)) { continue; }
    let above = mix(pixel(plane, k), pixel(plane, k + vec2i(1, 0)), t.x);
    let below = mix(pixel(plane, k + vec2i(0, 1)), pixel(plane, k + vec2i(1, 1)), t.x);
    sum += mix(above, below, t.y);
  }
  out[i] = sum;
}

@compute @workgroup_size(WG)
fn adjoint(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.planes * p.h * p.w) { return; }
  let plane = i / (p.h * p.w);
  let at = from_middle(i);
  let last = i32(p.l) - 1;
  var sum = 0.0;
  for (var a = 0u; a < p.angles; a++) {
    let turn = directions[a];
    // The pixel in the lattice's own axes; points within sqrt(2) on both may reach it.
    let home = vec2f(at.x * turn.x - at.y * turn.y, at.x * turn.y + at.y * turn.x) + middle();
    let low = vec2i(floor(home));
    for (var d = max(low.x - 1, 0); d <= min(low.x + 2, last); d++) {
      var weight = 0.0;
      for (var r = max(low.y - 1, 0); r <= min(low.y + 2, last); r++) {
        let away = vec2f(f32(d), f32(r)) - home;
        let x = 1.0 - abs(away.x * turn.x + away.y * turn.y);
        let y = 1.0 - abs(away.y * turn.x - away.x * turn.y);
        weight += max(x, 0.0) * max(y, 0.0);
      }
      sum += weight * rays[(plane * p.l + u32(d)) * p.angles + a];
    }
  }
  out[i] = sum;
}

fn ray(plane: u32, d: i32, a: u32) -> f32 {
  if (d < 0 || d >= i32(p.l)) { return 0.0; }
  return rays[(plane * p.l + u32(d)) * p.angles + a];
}

@compute @workgroup_size(WG)
fn smear(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.planes * p.h * p.w) { return; }
  let plane = i / (p.h * p.w);
  let at = from_middle(i);
  var sum = 0.0;
  for (var a = 0u; a < p.angles; a++) {
    let turn = directions[a];
    let place = at.x * turn.x - at.y * turn.y + middle();
    let low = floor(place);
    sum += mix(ray(plane, i32(low), a), ray(plane, i32(low) + 1, a), place - low);
  }
  out[i] = sum;
}
