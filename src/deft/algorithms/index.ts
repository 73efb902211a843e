// The algorithms by name. DEFT itself needs a trained h-transform: `deft` in ddim.ts makes its algorithm.
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
