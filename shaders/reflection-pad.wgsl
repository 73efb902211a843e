// Reflection without the border: planes of [h, w] in planes of [H, W], x at (top, left); row -k is row k, row h-1+k is h-1-k.
// forward:  out[Y, X] = x[mirror(Y - top), mirror(X - left)].
// backward: out[y, x] = sum of dy over the places that mirror to (y, x): at most three rows and three columns.
const WG = 64u;
struct Params { n: u32, h: i32, w: i32, big_h: i32, big_w: i32, top: i32, left: i32 }
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

fn mirror(i: i32, n: i32) -> i32 {
  let k = abs(i);
  return select(k, 2 * (n - 1) - k, k >= n);
}

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let k = i32(i);
  let row = mirror(k / p.big_w % p.big_h - p.top, p.h);
  let column = mirror(k % p.big_w - p.left, p.w);
  out[i] = source[(k / (p.big_w * p.big_h) * p.h + row) * p.w + column];
}

// The j-th place in the large plane that mirrors to index i, -1 where there is none.
fn place(j: i32, i: i32, n: i32, before: i32, big: i32) -> i32 {
  var at = before + i;
  if (j == 1) { at = select(before - i, -1, i == 0); }
  if (j == 2) { at = select(before + 2 * (n - 1) - i, -1, i == n - 1); }
  return select(-1, at, at >= 0 && at < big);
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let i = id.y * wgs.x * WG + id.x;
  if (i >= p.n) { return; }
  let k = i32(i);
  var sum = 0.0;
  for (var a = 0; a < 3; a++) {
    let row = place(a, k / p.w % p.h, p.h, p.top, p.big_h);
    for (var b = 0; b < 3; b++) {
      let column = place(b, k % p.w, p.w, p.left, p.big_w);
      if (row >= 0 && column >= 0) { sum += source[(k / (p.w * p.h) * p.big_h + row) * p.big_w + column]; }
    }
  }
  out[i] = sum;
}
