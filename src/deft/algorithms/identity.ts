import { affine } from "../../tensor/index.ts";
import { defineAlgorithm } from "./algorithm.ts";

/** A†y: no prior, no network call. */
export const identity = defineAlgorithm("identity", 0, {}, ({ engine, operator, y }) =>
  // A copy, since the pseudo-inverse may be the measurement itself.
  Promise.resolve(engine.noGrad(() => engine.scope(() => affine(operator.pinv(y), 1, 0)))),
);
