import { defineKernel, grid1d } from "./kernel.ts";
import * as wgsl from "./wgsl.gen.ts";

const grid = ({ n }: { n: number }) => grid1d(n, 64);
export const reflectionPadForward = defineKernel(wgsl.reflectionPad, "forward", { grid });
export const reflectionPadBackward = defineKernel(wgsl.reflectionPad, "backward", { grid });
