enable subgroups;
// Matrix products for software adapters: a workgroup is one subgroup of SG lanes, a tile TM rows by 4·SG columns. A lane keeps
// TM vec4s of four columns; values of A are loaded once in the subgroup, as vec4s spread over its lanes, and reach all lanes by
// broadcast. Past the edges indices are clamped, A is zero past k, and stores are guarded. KF: k divides by 4.
const SG = 8u; //!param
const TM = 16u; //!param
const KF = 1u; //!param
const KV = 4u * SG / TM; // rows of a transposed A that one load of all lanes covers
//!include lib/matmul.wgsl

@compute @workgroup_size(SG)
fn main(@builtin(workgroup_id) w: vec3u, @builtin(local_invocation_index) lane: u32) {
  let matrix = matrix_of(w.z);
  let row = w.y * TM;
  let col = (w.x * SG + lane) * 4u;
  let last = p.k - 1u;
  //!repeat blk 0..TM/SG
  //!repeat quad 0..SG/4
  //!repeat e 0..4
  var s_blk_quad_e = vec4f();
  //!end
  //!end
  //!end
  for (var t = 0u; t < p.sum; t++) {
    let a0 = start_a(matrix, t);
    let b0 = start_b(matrix, t);
    //!if TA == 1
    //!if AV == 1
    let a_at = a0 + min(row + lane % (TM / 4u) * 4u, p.m - 4u);
    let a_k = lane / (TM / 4u);
    //!else
    //!repeat blk 0..TM/SG
    let a_at_blk = a0 + min(row + blk * SG + lane, p.m - 1u);
    //!end
    //!end
    //!else
    //!repeat blk 0..TM/SG
    let a_at_blk = a0 + min(row + blk * SG + lane, p.m - 1u) * p.a_line;
    //!end
    //!end
    //!if TB == 1
    //!repeat e 0..4
    let b_at_e = b0 + min(col + e, p.n - 1u) * p.b_line;
    //!end
    //!else
    //!if BV == 1
    let b_at = b0 + min(col, p.n - 4u);
    //!else
    //!repeat e 0..4
    let b_at_e = b0 + min(col + e, p.n - 1u);
    //!end
    //!end
    //!end
    for (var k = 0u; k < p.k; k += 4u) {
      //!if TA == 1
      //!if AV == 1
      //!repeat u 0..TM/SG
      //!if KF == 1
      let a_u = vec4f(a[(a_at + (k + u * KV + a_k) * p.a_line) >> 2u]);
      //!else
      var a_u = vec4f(a[(a_at + min(k + u * KV + a_k, last) * p.a_line) >> 2u]);
      if (k + u * KV + a_k > last) { a_u = vec4f(); }
      //!end
      //!end
      //!else
      //!repeat blk 0..TM/SG
      var a_blk = vec4f();
      //!repeat e 0..4
      if (k + e <= last) { a_blk[e] = f32(a[a_at_blk + (k + e) * p.a_line]); }
      //!end
      //!end
      //!end
      //!else
      //!repeat blk 0..TM/SG
      //!if AV == 1
      let a_blk = vec4f(a[(a_at_blk + k) >> 2u]);
      //!else
      var a_blk = vec4f();
      //!repeat e 0..4
      if (k + e <= last) { a_blk[e] = f32(a[a_at_blk + k + e]); }
      //!end
      //!end
      //!end
      //!end
      //!if TB == 1
      //!repeat e 0..4
      //!if BV == 1
      let t_e = vec4f(b[(b_at_e + k) >> 2u]);
      //!else
      let t_e = vec4f(f32(b[b_at_e + k]), f32(b[b_at_e + min(k + 1u, last)]), f32(b[b_at_e + min(k + 2u, last)]), f32(b[b_at_e + min(k + 3u, last)]));
      //!end
      //!end
      //!end
      //!repeat u 0..TM/SG
      //!repeat v 0..4*SG/TM
      //!if TB == 1
      let b_u_v = vec4f(t_0[u * KV + v], t_1[u * KV + v], t_2[u * KV + v], t_3[u * KV + v]);
      //!else
      //!if KF == 1
      let line_u_v = (k + u * KV + v) * p.b_line;
      //!else
      let line_u_v = min(k + u * KV + v, last) * p.b_line;
      //!end
      //!if BV == 1
      let b_u_v = vec4f(b[(b_at + line_u_v) >> 2u]);
      //!else
      let b_u_v = vec4f(f32(b[b_at_0 + line_u_v]), f32(b[b_at_1 + line_u_v]), f32(b[b_at_2 + line_u_v]), f32(b[b_at_3 + line_u_v]));
      //!end
      //!end
      //!end
      //!end
      // Row by row, so that a sum stays in registers for its four products: with k outermost it went to memory and back for each.
      //!repeat blk 0..TM/SG
      //!repeat quad 0..SG/4
      //!repeat e 0..4
      //!repeat u 0..TM/SG
      //!repeat v 0..4*SG/TM
      //!if TA * AV == 1
      s_blk_quad_e = fma(vec4f(subgroupBroadcast(a_u[e], v * (TM / 4u) + blk * (SG / 4u) + quad)), b_u_v, s_blk_quad_e);
      //!else
      s_blk_quad_e = fma(vec4f(subgroupBroadcast(a_blk[u * KV + v], quad * 4u + e)), b_u_v, s_blk_quad_e);
      //!end
      //!end
      //!end
      //!end
      //!end
      //!end
    }
  }
  if (col >= p.n) { return; }
  let c0 = start_c(matrix);
  let add = bias_at(col);
  //!repeat blk 0..TM/SG
  //!repeat quad 0..SG/4
  //!repeat e 0..4
  store(c0, row + blk * SG + quad * 4u + e, col, s_blk_quad_e + add);
  //!end
  //!end
  //!end
}
