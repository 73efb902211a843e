// Classes of pictures: what wants them, and whether they are there.
import { checkClassNumbers } from "../deft/config/classes.ts";
import type { Config } from "../deft/config/schema.ts";
import { withClasses, type ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";

/** Whether sampling itself needs a class for each picture: a class-conditional prior, or a classifier that guides ddim. */
function needsClasses({ algo, classifier, compare, model }: Config, isCompared: boolean): boolean {
  const drawsDdim = isCompared ? compare.algorithms.split(",").includes("ddim") : algo.name === "ddim";
  return model.class_cond || (drawsDdim && classifier.ckpt_path !== null && classifier.scale > 0);
}

/**
 * The pictures with the classes of `exp.classes` in turn, or with their own. Throws a UserError where the prior or a guide needs
 * classes and they have none, or one that the prior does not know.
 */
export function classed(config: Config, data: ImageDataset, isCompared: boolean): ImageDataset {
  const { model, exp } = config;
  const labelled = withClasses(data, exp.classes);
  const { label } = labelled;
  if (label && model.class_cond && !exp.classes?.length)
    for (let i = 0; i < data.length / (data.versions ?? 1); i++)
      if (label(i) >= model.num_classes)
        throw new UserError(
          `${data.name}: picture ${i} is of class ${label(i)}; expected 0 to ${model.num_classes - 1}, the classes of model=${model.name}, or exp.classes=[NUMBERS]`,
        );
  if (label || !needsClasses(config, isCompared)) return labelled;
  const why = model.class_cond
    ? `model=${model.name} draws pictures of a class`
    : "the classifier guides ddim";
  throw new UserError(
    `exp.classes: none given, and the pictures of ${data.name} lie in no class folders; ${why}; pass exp.classes=[NUMBERS], or a data set with a folder for each class`,
  );
}

/** The class of picture k of a user's own: those of `exp.classes` in turn, null where there are none. Throws a UserError where the prior needs one. */
export function ownClass(config: Config, k: number): number | null {
  const { model, exp } = config;
  checkClassNumbers(config);
  if (exp.classes?.length) return exp.classes[k % exp.classes.length] as number;
  if (!model.class_cond) return null;
  throw new UserError(
    `exp.classes: none given; model=${model.name} draws pictures of a class; pass exp.classes=[NUMBERS], the classes of the pictures in turn`,
  );
}
