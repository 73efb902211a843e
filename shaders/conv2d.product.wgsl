enable subgroups;
// The one matrix product behind every convolution on software adapters: out = left · right (+ bias by row). L, R, O: how left, right and out are stored.
// A workgroup is one subgroup of SG lanes; it owns BLOCKS*ROWS rows and COLS vec4s of columns a lane. Each lane loads a vec4 (four k)
// of one row of left and hands it to the others by broadcast; right is read as vec4s along the columns, each value once.
// All strides in vec4s, but `rows`, `depth` (k) and bias in elements. left: rows of ceil(depth/4) vec4s, zero past depth.
// A launch does the columns from `first` on. Of several matrices, Next apart: column c of right and out lies in matrix c / perImage; workgroup z sums the products of
// matrices z·per .. z·per + per - 1 (below `segments`) of left and right into matrix z of out, or with ADD onto what it holds.
alias L = f32; //!param
alias R = f32; //!param
alias O = f32; //!param
const SG = 8u; //!param
const BLOCKS = 2u; //!param
const ROWS = 8u; //!param
const COLS = 1u; //!param
const ADD = 0u; //!param
struct Params {
  first: u32, columns: u32, perImage: u32, rows: u32, depth: u32, segments: u32, per: u32,
  leftRow: u32, leftNext: u32, leftStart: u32,
  rightRow: u32, rightNext: u32, rightStart: u32,
  outRow: u32, outNext: u32, outStart: u32, biased: u32,
}
@group(0) @binding(0) var<storage, read> left: array<vec4<L>>;
@group(0) @binding(1) var<storage, read> right: array<vec4<R>>;
@group(0) @binding(2) var<storage, read> bias: array<f32>;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<O>>;
@group(0) @binding(4) var<uniform> p: Params;
const b = 0u; //!drop
const j = 0u; //!drop
const i = 0u; //!drop
const q = 0u; //!drop

@compute @workgroup_size(SG)
fn product(@builtin(workgroup_id) wg: vec3u, @builtin(local_invocation_index) l: u32) {
  let row0 = wg.y * BLOCKS * ROWS;
  //!repeat j 0..COLS
  let c_j = p.first + (wg.x * COLS + j) * SG + l;
  let column_j = min(c_j, p.columns - 1u);
  let within_j = column_j % p.perImage;
  let image_j = column_j / p.perImage;
  let at_j = p.rightStart + image_j * p.rightNext + within_j;
  let to_j = p.outStart + (wg.z + image_j) * p.outNext + within_j;
  //!end
  //!repeat b 0..BLOCKS
  let row_b = min(row0 + b * ROWS + min(l, ROWS - 1u), p.rows - 1u);
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
    let r_j = at_j + segment * p.rightNext;
    //!end
    //!repeat b 0..BLOCKS
    let l_b = start_b + segment * p.leftNext;
    //!end
    for (var k = 0u; k < p.depth; k += 4u) {
      //!repeat b 0..BLOCKS
      let a_b = vec4f(left[l_b + k / 4u]);
      //!end
      //!repeat q 0..4
      let k_q = min(k + q, p.depth - 1u) * p.rightRow;
      //!repeat j 0..COLS
      let v_q_j = vec4f(right[r_j + k_q]);
      //!end
      //!end
      // Row by row, so that a sum stays in registers for its four products: with k outermost it went to memory and back for each.
      //!repeat b 0..BLOCKS
      //!repeat i 0..ROWS
      //!repeat q 0..4
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
  let bias_b = bias[row_b * p.biased];
  //!repeat i 0..ROWS
  let more_b_i = subgroupBroadcast(bias_b, i);
  //!repeat j 0..COLS
  if (c_j < p.columns && row0 + b * ROWS + i < p.rows) {
    s_b_i_j += more_b_i;
    //!if ADD == 1
    s_b_i_j += vec4f(out[to_j + (row0 + b * ROWS + i) * p.outRow]);
    //!end
    out[to_j + (row0 + b * ROWS + i) * p.outRow] = vec4<O>(s_b_i_j);
  }
  //!end
  //!end
  //!end
}
