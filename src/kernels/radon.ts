import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

interface Sizes {
  readonly planes: number;
  readonly h: number;
  readonly w: number;
  readonly l: number;
  readonly angles: number;
}

const rays = { grid: ({ planes, l, angles }: Sizes) => grid1d(planes * l * angles, 64) };
const pixels = { grid: ({ planes, h, w }: Sizes) => grid1d(planes * h * w, 64) };
export const radonForward = defineKernel(wgsl.radon, "forward", rays);
export const radonAdjoint = defineKernel(wgsl.radon, "adjoint", pixels);
export const radonSmear = defineKernel(wgsl.radon, "smear", pixels);
