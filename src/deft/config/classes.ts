import { UserError } from "../errors.ts";
import type { Config } from "./schema.ts";

/** Throws a UserError where a class of `exp.classes` is none of the prior's. */
export function checkClassNumbers({ model, exp }: Pick<Config, "model" | "exp">): void {
  const unknown = model.class_cond ? exp.classes?.find((c) => c >= model.num_classes) : undefined;
  if (unknown !== undefined)
    throw new UserError(
      `exp.classes: no such class; got ${unknown}; expected 0 to ${model.num_classes - 1}, the classes of model=${model.name}`,
    );
}
