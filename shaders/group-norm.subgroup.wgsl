enable subgroups;
// Group norm for software adapters: a workgroup is one subgroup, so that no sum goes through workgroup memory.
const WG = 8u; //!param
//!include lib/group-norm.wgsl
//!include lib/group-norm-whole.wgsl

fn channel_lanes() -> u32 { return WG; }
fn group_sum(v: vec2f, lane: u32) -> vec2f { return subgroupAdd(v); }
fn team_sum(v: vec2f, lane: u32) -> vec2f { return subgroupAdd(v); }
