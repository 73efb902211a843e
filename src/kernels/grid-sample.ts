import { defineKernel, grid1d } from "./kernel.ts";
import { each } from "./shader.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ n }: { n: number }) => grid1d(n, 16);
const values = each("CORNERS", 0, 1);
export const gridSampleForward = defineKernel(wgsl.gridSample, "forward", { grid, values });
export const gridSampleBackward = defineKernel(wgsl.gridSample, "backward", { grid, values });
export const gridSampleBackwardGrid = defineKernel(wgsl.gridSample, "backward_grid", { grid, values });
