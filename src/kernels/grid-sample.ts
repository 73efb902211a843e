import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ n }: { n: number }) => grid1d(n, 16);
export const gridSampleForward = defineKernel(wgsl.gridSample, "forward", { grid });
export const gridSampleBackward = defineKernel(wgsl.gridSample, "backward", { grid });
export const gridSampleBackwardGrid = defineKernel(wgsl.gridSample, "backward_grid", { grid });
