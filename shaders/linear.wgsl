// Gradient of a bias: out[j] = Σ_i dy[i, j]. dy: f32[rows, columns], out: f32[columns]. One column an invocation, so that
// neighbours read neighbours; four partial sums shorten the chain of roundings. Moves 4·rows·columns bytes.
const WG = 64u;
struct Params { rows: u32, columns: u32 }
@group(0) @binding(0) var<storage, read> dy: array<f32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@group(0) @binding(2) var<uniform> p: Params;

@compute @workgroup_size(WG)
fn column_sums(@builtin(global_invocation_id) id: vec3u, @builtin(num_workgroups) wgs: vec3u) {
  let j = id.y * wgs.x * WG + id.x;
  if (j >= p.columns) { return; }
  var sums = vec4f();
  let whole = p.rows & ~3u;
  for (var i = 0u; i < whole; i += 4u) {
    let at = i * p.columns + j;
    sums += vec4f(dy[at], dy[at + p.columns], dy[at + 2u * p.columns], dy[at + 3u * p.columns]);
  }
  for (var i = whole; i < p.rows; i++) { sums.x += dy[i * p.columns + j]; }
  out[j] = (sums.x + sums.y) + (sums.z + sums.w);
}
