// Group norm with default limits: a workgroup a group, sums by trees in workgroup memory.
const WG = 256u;
//!include lib/group-norm.wgsl
//!include lib/group-norm-tree.wgsl
//!include lib/group-norm-whole.wgsl

fn channel_lanes() -> u32 { return p.lanes; }
fn team_sum(v: vec2f, lane: u32) -> vec2f { return tree(v, lane, p.lanes); }
