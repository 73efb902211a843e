// Tiles of 64 by 64 through subgroup matrices (tensor cores): f16 in, sums in f32. Four subgroups of SG lanes own 32 by 32 each, as
// matrices of MM by MN that take MK of k a step; 32 of k at a time are staged in workgroup memory (13.5 KiB in all). The including
// file enables the extensions and defines
//   stage(l, k0)                   writes the KS numbers of k from k0 on to left[row * LP + k] and right[k * RP + column], zero past the ends
//   put(row, column, value: f32)   the result, which it guards
// and calls tile() with uniform control flow, for the sums from k0 = first to before `end`. Not timed yet: no adapter with subgroup matrices was at hand.
const SG = 32u; //!param
const MM = 16u; //!param
const MN = 16u; //!param
const MK = 16u; //!param
const WG = 4u * SG;
const KS = 32u;
const LP = 40u; // pitches of the staged tiles: one row of 16 bytes more, against bank conflicts
const RP = 72u;
alias Left = subgroup_matrix_left<f16, MK, MM>;
alias Right = subgroup_matrix_right<f16, MN, MK>;
alias Result = subgroup_matrix_result<f32, MN, MM>;
var<workgroup> left: array<f16, 64u * LP>;
var<workgroup> right: array<f16, KS * RP>;
var<workgroup> results: array<f32, 4u * MM * MN>;
const i = 0u; //!drop
const j = 0u; //!drop

fn tile(l: u32, subgroup: u32, first: u32, end: u32) {
  let row = subgroup / 2u * 32u;
  let column = subgroup % 2u * 32u;
  let lane = l % SG;
  //!repeat i 0..32/MM
  //!repeat j 0..32/MN
  var sum_i_j = Result();
  //!end
  //!end
  for (var k0 = first; k0 < end; k0 += KS) {
    stage(l, k0);
    workgroupBarrier();
    for (var k = 0u; k < KS; k += MK) {
      //!repeat i 0..32/MM
      let a_i = subgroupMatrixLoad<Left, row_major>(&left, (row + i * MM) * LP + k, LP);
      //!end
      //!repeat j 0..32/MN
      let b_j = subgroupMatrixLoad<Right, row_major>(&right, k * RP + column + j * MN, RP);
      //!end
      //!repeat i 0..32/MM
      //!repeat j 0..32/MN
      sum_i_j = subgroupMatrixMultiplyAccumulate(a_i, b_j, sum_i_j);
      //!end
      //!end
    }
    workgroupBarrier();
  }
  let mine = subgroup * MM * MN;
  //!repeat i 0..32/MM
  //!repeat j 0..32/MN
  subgroupMatrixStore<row_major>(&results, mine, sum_i_j, MN);
  workgroupBarrier();
  for (var x = lane; x < MM * MN; x += SG) {
    put(row + i * MM + x / MN, column + j * MN + x % MN, results[mine + x]);
  }
  workgroupBarrier();
  //!end
  //!end
}
