// Planes of [big_h, big_w] to [h, w]: each result is the largest element of a window of k x k. Windows stand `stride` apart, the
// first `padding` outside of the plane; they are cut at its edges, and each reaches into it.
// forward: out = the largest, place = where in its plane it is, the first of equal ones.
// backward: out = sum of dy over the windows whose largest the element is.
// PER elements of the result in a row an invocation.
const WG = 64u;
const PER = 1u; //!param
struct Params { n: u32, k: u32, stride: u32, padding: u32, h: u32, w: u32, big_h: u32, big_w: u32 }
@group(0) @binding(0) var<storage, read> source: array<f32>;
@group(0) @binding(1) var<storage, read> dy: array<f32>;
@group(0) @binding(2) var<storage, read> chosen: array<u32>;
@group(0) @binding(3) var<storage, read_write> out: array<f32>;
@group(0) @binding(4) var<storage, read_write> place: array<u32>;
@group(0) @binding(5) var<uniform> p: Params;

// a - b, 0 where b is larger.
fn minus(a: vec2u, b: vec2u) -> vec2u { return max(a, b) - b; }

@compute @workgroup_size(WG)
fn forward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let plane = i / (p.w * p.h) * p.big_w * p.big_h;
    let window = vec2u(i % p.w, i / p.w % p.h) * p.stride;
    let begin = minus(window, vec2u(p.padding));
    let end = min(minus(window + p.k, vec2u(p.padding)), vec2u(p.big_w, p.big_h));
    var best = begin.y * p.big_w + begin.x;
    var most = source[plane + best];
    for (var row = begin.y; row < end.y; row++) {
      for (var column = begin.x; column < end.x; column++) {
        let v = source[plane + row * p.big_w + column];
        if (v > most) {
          most = v;
          best = row * p.big_w + column;
        }
      }
    }
    out[i] = most;
    place[i] = best;
  }
}

@compute @workgroup_size(WG)
fn backward(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let first = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = first; i < min(first + PER, p.n); i++) {
    let own = i % (p.big_w * p.big_h);
    let plane = i / (p.big_w * p.big_h) * p.w * p.h;
    // Windows from begin on and before end hold the element.
    let element = vec2u(own % p.big_w, own / p.big_w) + p.padding;
    let begin = (minus(element + 1u, vec2u(p.k)) + p.stride - 1u) / p.stride;
    let end = min(element / p.stride + 1u, vec2u(p.w, p.h));
    var sum = 0.0;
    for (var row = begin.y; row < end.y; row++) {
      for (var column = begin.x; column < end.x; column++) {
        let window = plane + row * p.w + column;
        if (chosen[window] == own) { sum += dy[window]; }
      }
    }
    out[i] = sum;
  }
}
