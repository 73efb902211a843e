// Which handler computes the entries of a kind.
import { checkpointKinds } from "./checkpoints.ts";
import { deftKinds } from "./deft.ts";
import type { Handler } from "./entry.ts";
import { likelihoodKinds } from "./likelihoods.ts";
import { metricKinds } from "./metrics.ts";
import { moduleKinds } from "./modules.ts";
import { operatorKinds } from "./operator-kinds.ts";
import { heavyOps } from "./ops-heavy.ts";
import { binaryOf, reductionOf, unaryHandler, unaryOf } from "./ops-light.ts";
import { movementOps } from "./ops-movement.ts";
import { samplerKinds } from "./samplers.ts";
import { scheduleKinds } from "./schedules.ts";
import { networkKinds } from "./whole-networks.ts";

const table: Record<string, Handler> = {
  ...heavyOps,
  ...movementOps,
  ...moduleKinds,
  ...networkKinds,
  ...scheduleKinds,
  ...likelihoodKinds,
  ...operatorKinds,
  ...deftKinds,
  ...samplerKinds,
  ...metricKinds,
  ...checkpointKinds,
};

/** The handler of a kind; undefined where the library has nothing for it. */
export function handlerOf(kind: string): Handler | undefined {
  const known = Object.hasOwn(table, kind) ? table[kind] : undefined;
  if (known) return known;
  const [, family, name = ""] = /^(unary|binary|reduce)_(.+)$/.exec(kind) ?? [];
  if (family === "binary") return binaryOf(name);
  if (family === "reduce") return reductionOf(name);
  const unary = family === "unary" ? unaryOf(name) : undefined;
  return unary && unaryHandler(unary);
}
