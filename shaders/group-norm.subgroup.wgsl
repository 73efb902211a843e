enable subgroups;
// Group norm for software adapters: a workgroup is one subgroup, so that no sum goes through workgroup memory.
const WG = 8u; //!param
const LANES = WG;
//!include lib/group-norm.wgsl

fn group_sum(v: vec2f, lane: u32) -> vec2f { return subgroupAdd(v); }
fn team_sum(v: vec2f, lane: u32) -> vec2f { return subgroupAdd(v); }
