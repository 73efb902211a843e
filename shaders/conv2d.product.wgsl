enable subgroups;
// The one matrix product behind every convolution on software adapters: out = left · right (+ bias by row), f32.
// A workgroup is one subgroup of SG lanes; it owns BLOCKS*ROWS rows and a vec4 of columns a lane. Each lane loads a vec4 (four k)
// of one row of left and hands it to the others by broadcast; right is read as vec4s along the columns, each value once.
// All strides in vec4s, but `rows`, `depth` (k) and bias in elements. left: rows of ceil(depth/4) vec4s, zero past depth.
// Column c of right and out lies at (c / perImage)·image + c % perImage. Workgroup z sums the segments z·per .. z·per + per - 1
// (below `segments`) of left and right into its own slice of out, or with ADD onto what it holds.
const SG = 8u; //!param
const BLOCKS = 2u; //!param
const ROWS = 8u; //!param
const BIAS = 0u; //!param
const ADD = 0u; //!param
struct Params {
  columns: u32, perImage: u32, rows: u32, depth: u32, segments: u32, per: u32,
  leftRow: u32, leftSegment: u32, leftStart: u32,
  rightRow: u32, rightSegment: u32, rightImage: u32, rightStart: u32,
  outRow: u32, outSlice: u32, outImage: u32, outStart: u32,
}
@group(0) @binding(0) var<storage, read> left: array<vec4f>;
@group(0) @binding(1) var<storage, read> right: array<vec4f>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4f>;
@group(0) @binding(4) var<uniform> p: Params;
const b = 0u; //!drop
const i = 0u; //!drop
const q = 0u; //!drop

@compute @workgroup_size(SG)
fn product(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  let first = wg.y * BLOCKS * ROWS;
  let c = wg.x * SG + l;
  let column = min(c, p.columns - 1u);
  let within = column % p.perImage;
  let at = p.rightStart + column / p.perImage * p.rightImage + within;
  let to = p.outStart + wg.z * p.outSlice + column / p.perImage * p.outImage + within;
  //!repeat b 0..BLOCKS
  let row_b = min(first + b * ROWS + min(l, ROWS - 1u), p.rows - 1u);
  let start_b = p.leftStart + row_b * p.leftRow;
  //!repeat i 0..ROWS
  var s_b_i = vec4f();
  //!end
  //!end
  let end = min((wg.z + 1u) * p.per, p.segments);
  for (var segment = wg.z * p.per; segment < end; segment++) {
    let r = at + segment * p.rightSegment;
    //!repeat b 0..BLOCKS
    let l_b = start_b + segment * p.leftSegment;
    //!end
    for (var k = 0u; k < p.depth; k += 4u) {
      //!repeat b 0..BLOCKS
      let a_b = left[l_b + k / 4u];
      //!end
      //!repeat q 0..4
      let v_q = right[r + min(k + q, p.depth - 1u) * p.rightRow];
      //!repeat b 0..BLOCKS
      //!repeat i 0..ROWS
      s_b_i = fma(vec4f(subgroupBroadcast(a_b[q], i)), v_q, s_b_i);
      //!end
      //!end
      //!end
    }
  }
  //!repeat b 0..BLOCKS
  //!if BIAS == 1
  let bias_b = bias[row_b];
  //!end
  //!repeat i 0..ROWS
  //!if BIAS == 1
  s_b_i += subgroupBroadcast(bias_b, i);
  //!end
  if (c < p.columns && first + b * ROWS + i < p.rows) {
    //!if ADD == 1
    s_b_i += out[to + (first + b * ROWS + i) * p.outRow];
    //!end
    out[to + (first + b * ROWS + i) * p.outRow] = s_b_i;
  }
  //!end
  //!end
}

/** out[channel] = sum over images and pixels of left[image][channel][pixel]; one workgroup a channel; `rows` channels, `depth` pixels. */
@compute @workgroup_size(SG)
fn sumChannel(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  var s = vec4f();
  let quads = p.depth / 4u;
  for (var segment = 0u; segment < p.segments; segment++) {
    let start = (segment * p.rows + wg.x) * quads;
    var part = vec4f();
    for (var k = l; k < quads; k += SG) { part += left[start + k]; }
    s += part;
  }
  let all = subgroupAdd(s.x + s.y + s.z + s.w);
  if (l == 0u) { sums[wg.x] = all; }
}
@group(0) @binding(5) var<storage, read_write> sums: array<f32>;
