// Sums over the lanes of a workgroup by trees in workgroup memory (2 KiB).
var<workgroup> shared_sums: array<vec2f, WG>;

// Sum over each run of `width` lanes (a power of two), on every lane of the run.
fn tree(v: vec2f, lane: u32, width: u32) -> vec2f {
  shared_sums[lane] = v;
  workgroupBarrier();
  for (var step = width / 2u; step > 0u; step /= 2u) {
    if (lane % width < step) { shared_sums[lane] += shared_sums[lane + step]; }
    workgroupBarrier();
  }
  let total = shared_sums[lane / width * width];
  workgroupBarrier();
  return total;
}

fn group_sum(v: vec2f, lane: u32) -> vec2f { return tree(v, lane, WG); }
