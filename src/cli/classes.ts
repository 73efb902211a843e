// Classes of pictures: what wants them, and whether they are there.
import type { Config } from "../deft/config/schema.ts";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";

/** Whether sampling itself needs a class for each picture: a class-conditional prior, or a classifier that guides ddim. */
export function needsClasses({ algo, classifier, compare, model }: Config, isCompared: boolean): boolean {
  const drawsDdim = isCompared ? compare.algorithms.split(",").includes("ddim") : algo.name === "ddim";
  return model.class_cond || (drawsDdim && classifier.ckpt_path !== null && classifier.scale > 0);
}

/** Throws a UserError where a class of `exp.classes` is none of the prior's. */
function checkGiven({ model, exp }: Config): void {
  const given = exp.classes ?? [];
  const unknown = model.class_cond ? given.find((c) => c >= model.num_classes) : undefined;
  if (unknown !== undefined)
    throw new UserError(
      `exp.classes: no such class; got ${unknown}; expected 0 to ${model.num_classes - 1}, the classes of model=${model.name}`,
    );
}

/** The class of picture k of a user's own: those of `exp.classes` in turn, null where there are none. Throws a UserError where the prior needs one. */
export function ownClass(config: Config, k: number): number | null {
  const { model, exp } = config;
  checkGiven(config);
  if (exp.classes?.length) return exp.classes[k % exp.classes.length] as number;
  if (!model.class_cond) return null;
  throw new UserError(
    `exp.classes: none given; model=${model.name} draws pictures of a class; pass exp.classes=[NUMBERS], the classes of the pictures in turn`,
  );
}

/** Throws a UserError where the prior or a guide needs classes and the pictures have none, or a class is none of the prior's. */
export function checkClasses(config: Config, data: ImageDataset, isCompared = true): void {
  checkGiven(config);
  const { model } = config;
  if (data.label !== undefined || !needsClasses(config, isCompared)) return;
  const why = model.class_cond
    ? `model=${model.name} draws pictures of a class`
    : "the classifier guides ddim";
  throw new UserError(
    `exp.classes: none given, and the pictures of ${data.name} lie in no class folders; ${why}; pass exp.classes=[NUMBERS], or a data set with a folder for each class`,
  );
}
