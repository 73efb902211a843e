enable subgroups;
// The one matrix product behind every convolution on software adapters: out = left · right (+ bias by row), f32.
// A workgroup is one subgroup of SG lanes; it owns BLOCKS*ROWS rows and COLS vec4s of columns a lane. Each lane loads a vec4 (four k)
// of one row of left and hands it to the others by broadcast; right is read as vec4s along the columns, each value once.
// All strides in vec4s, but `rows`, `depth` (k) and bias in elements. left: rows of ceil(depth/4) vec4s, zero past depth.
// Column c of right and out lies at (c / perImage)·image + c % perImage. Workgroup z sums the segments z·per .. z·per + per - 1
// (below `segments`) of left and right into its own slice of out, or with ADD onto what it holds.
const SG = 8u; //!param
const BLOCKS = 2u; //!param
const ROWS = 8u; //!param
const COLS = 1u; //!param
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
const j = 0u; //!drop
const i = 0u; //!drop
const q = 0u; //!drop

@compute @workgroup_size(SG)
fn product(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  let first = wg.y * BLOCKS * ROWS;
  //!repeat j 0..COLS
  let c_j = (wg.x * COLS + j) * SG + l;
  let column_j = min(c_j, p.columns - 1u);
  let within_j = column_j % p.perImage;
  let at_j = p.rightStart + column_j / p.perImage * p.rightImage + within_j;
  let to_j = p.outStart + wg.z * p.outSlice + column_j / p.perImage * p.outImage + within_j;
  //!end
  //!repeat b 0..BLOCKS
  let row_b = min(first + b * ROWS + min(l, ROWS - 1u), p.rows - 1u);
  let start_b = p.leftStart + row_b * p.leftRow;
  //!repeat i 0..ROWS
  //!repeat j 0..COLS
  var s_b_i_j = vec4f();
  //!end
  //!end
  //!end
  let end = min((wg.z + 1u) * p.per, p.segments);
  for (var segment = wg.z * p.per; segment < end; segment++) {
    //!repeat j 0..COLS
    let r_j = at_j + segment * p.rightSegment;
    //!end
    //!repeat b 0..BLOCKS
    let l_b = start_b + segment * p.leftSegment;
    //!end
    for (var k = 0u; k < p.depth; k += 4u) {
      //!repeat b 0..BLOCKS
      let a_b = left[l_b + k / 4u];
      //!end
      //!repeat q 0..4
      let k_q = min(k + q, p.depth - 1u) * p.rightRow;
      //!repeat j 0..COLS
      let v_q_j = right[r_j + k_q];
      //!end
      //!repeat b 0..BLOCKS
      //!repeat i 0..ROWS
      let x_q_b_i = vec4f(subgroupBroadcast(a_b[q], i));
      //!repeat j 0..COLS
      s_b_i_j = fma(x_q_b_i, v_q_j, s_b_i_j);
      //!end
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
  let more_b_i = subgroupBroadcast(bias_b, i);
  //!else
  let more_b_i = 0.0;
  //!end
  //!repeat j 0..COLS
  if (c_j < p.columns && first + b * ROWS + i < p.rows) {
    s_b_i_j += more_b_i;
    //!if ADD == 1
    s_b_i_j += out[to_j + (first + b * ROWS + i) * p.outRow];
    //!end
    out[to_j + (first + b * ROWS + i) * p.outRow] = s_b_i_j;
  }
  //!end
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
