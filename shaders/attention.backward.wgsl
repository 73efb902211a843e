// What attention's backward pass does beside matrix products.
// row_dots: delta[head][query] = sum over the d channels of result·dy.
// probabilities: in place, over the queries first … first + rows of `span` heads an image,
//   probs = exp(scale·probs − lse) and slopes = scale·probs·(slopes − delta), probs having qᵀk and slopes dyᵀv.
//   Lines of t keys, `cells` cells of T; n counts cells; PER cells in a row an invocation. Moves 16 bytes an element.
const WG = 64u;
const PER = 1u; //!param
alias T = vec4f; //!param
struct Dots { t: u32, d: u32, count: u32 }
struct Params {
  n: u32, cells: u32, t: u32, heads: u32, scale: f32, first_image: u32, first_head: u32, span: u32, first: u32, rows: u32,
}
@group(0) @binding(0) var<storage, read> lse: array<f32>;
@group(0) @binding(1) var<storage, read> delta: array<f32>;
@group(0) @binding(2) var<storage, read_write> probs: array<T>;
@group(0) @binding(3) var<storage, read_write> slopes: array<T>;
@group(0) @binding(4) var<uniform> p: Params;
@group(0) @binding(5) var<storage, read> result: array<f32>;
@group(0) @binding(6) var<storage, read> dy: array<f32>;
@group(0) @binding(7) var<storage, read_write> dots: array<f32>;
@group(0) @binding(8) var<uniform> q: Dots;

@compute @workgroup_size(WG)
fn row_dots(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= q.t) { return; }
  var sum = 0.0;
  for (var i = 0u; i < q.d; i++) {
    let at = (id.y * q.d + i) * q.t + id.x;
    sum = fma(result[at], dy[at], sum);
  }
  dots[id.y * q.t + id.x] = sum;
}

@compute @workgroup_size(WG)
fn probabilities(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let start = (id.y * wgs.x * WG + id.x) * PER;
  for (var i = start; i < min(start + PER, p.n); i++) {
    let line = i / p.cells;
    let z = line / p.rows;
    let head = (p.first_image + z / p.span) * p.heads + p.first_head + z % p.span;
    let query = head * p.t + p.first + line % p.rows;
    let prob = exp(probs[i] * p.scale - lse[query]);
    probs[i] = prob;
    slopes[i] = prob * (slopes[i] - delta[query]) * p.scale;
  }
}
