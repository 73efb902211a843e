// The algorithms by name: a line here makes one known to the configuration, to `deft sample` and to `deft compare`.
import type { Algorithm } from "./algorithm.ts";
import { ddim } from "./ddim.ts";
import { ddrm } from "./ddrm.ts";
import { dps } from "./dps.ts";
import { identity } from "./identity.ts";
import { mcg } from "./mcg.ts";
import { pgdm } from "./pgdm.ts";
import { reddiff } from "./reddiff.ts";
import { reddiffParallel } from "./reddiff-parallel.ts";
import { sds } from "./sds.ts";
import { sdsVar } from "./sds-var.ts";

export const algorithms = {
  ddim,
  ddrm,
  dps,
  identity,
  mcg,
  pgdm,
  reddiff,
  reddiff_parallel: reddiffParallel,
  sds,
  sds_var: sdsVar,
} satisfies Record<string, Algorithm>;

/** Those with a network of their own, which is trained beforehand (`deft`, ddim.ts) or for each observation (`deft_soc`, deft-soc.ts). */
export const learned = ["deft", "deft_soc"] as const;

export type AlgorithmName = (typeof learned)[number] | keyof typeof algorithms;
export const algorithmNames = [...learned, ...Object.keys(algorithms)] as readonly AlgorithmName[];
