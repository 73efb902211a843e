import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

export const columnSums = defineKernel(wgsl.linear, "column_sums", {
  grid: ({ columns }: { columns: number }) => grid1d(columns, 64),
});
