import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

export const accumulate = defineKernel(wgsl.accumulate, "accumulate", { grid: ({ n4 }) => grid1d(n4, 64) });
