import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ n4 }: { n4: number }) => grid1d(n4, 64);
export const siluForward = defineKernel(wgsl.silu, "forward", { grid });
export const siluBackward = defineKernel(wgsl.silu, "backward", { grid });
