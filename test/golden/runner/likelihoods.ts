// Measurements, gradients of the likelihood, conditioning.
import { condition } from "../../../src/deft/condition.ts";
import { guidance, measure } from "../../../src/deft/likelihood.ts";
import { hdr } from "../../../src/deft/operators/hdr.ts";
import { inpainting } from "../../../src/deft/operators/inpainting.ts";
import { superResolution } from "../../../src/deft/operators/super-resolution.ts";
import type { Operator } from "../../../src/deft/operator.ts";
import type { Tensor } from "../../../src/tensor/index.ts";
import { flag, group, list, num, text, type Entry, type Handler } from "./entry.ts";
import { asMeasurement, conventionOf, Draws, imageShape, masksOf, operatorOf } from "./operators.ts";

/** ∇ log p(y | x̂) with and without noise. */
function gradients(entry: Entry, operator: Operator): Record<string, Tensor> {
  const convention = conventionOf(entry.config);
  const y = asMeasurement(operator, entry.tensor("y"));
  const at = (sigma: number): Tensor => guidance(operator, y, entry.tensor("xhat"), sigma, convention);
  return { grad_sigma0: at(0), grad_sigma: at(num(entry.config, "sigma")) };
}

/** Measurement with the recorded noise, and the gradients. */
function measured(entry: Entry, operator: Operator): Record<string, Tensor> {
  const x = entry.tensor("x");
  const noise = new Draws(entry).normal([x.dim(0), ...operator.outShape]);
  return { y_sample: measure(operator, x, num(entry.config, "sigma"), noise), ...gradients(entry, operator) };
}

const gaussian: Handler = (entry) =>
  entry.compute(() =>
    measured(entry, operatorOf(entry, text(entry.config, "deg"), imageShape(entry.stored("x")), [])),
  );

const superResolved: Handler = (entry) =>
  entry.compute(() => {
    const operator = superResolution(num(entry.config, "scale"), imageShape(entry.stored("x")));
    const y = asMeasurement(operator, entry.tensor("y"));
    return {
      A_x: operator.apply(entry.tensor("x")),
      A_adjoint_y: operator.adjoint(y),
      ...gradients(entry, operator),
    };
  });

/** Draws: noise on the named masks, then masks at random, then noise on those. The gradients belong to the named masks. */
const inpainted: Handler = async (entry) => {
  const draws = new Draws(entry);
  const { config, engine } = entry;
  const shape = imageShape(entry.stored("x"));
  const masked = (indices: readonly number[]) => {
    const { kept, shape: maskShape } = masksOf(entry, indices);
    const operator = inpainting(engine, { values: kept, shape: maskShape }, shape);
    return { kept, operator };
  };
  const masks = new Map<string, Float32Array>();
  const result = await entry.compute(() => {
    const x = entry.tensor("x");
    const sigma = num(config, "sigma");
    const named = masked(list(config, "deterministic_idx"));
    const y_deterministic = measure(named.operator, x, sigma, draws.normal(x.shape));
    const random = masked(draws.integers());
    const y_random = measure(random.operator, x, sigma, draws.normal(x.shape));
    masks.set("masks_deterministic", named.kept).set("masks_random", random.kept);
    return { y_deterministic, y_random, ...gradients(entry, named.operator) };
  });
  for (const [name, kept] of masks) result.set(name, kept);
  return result;
};

const conditioning: Handler = async (entry) => {
  const algo = group(entry.config, "algo");
  const indices = "mask_idx" in entry.config ? list(entry.config, "mask_idx") : [];
  const result = await entry.compute(() => {
    const operator = operatorOf(entry, text(algo, "deg"), imageShape(entry.stored("xi")), indices);
    const y = asMeasurement(operator, entry.tensor("y"));
    const options = {
      sigmaY: num(entry.config, "sigma", num(algo, "sigma_y", 0)),
      useX0hat: flag(algo, "use_x0hat", true),
      useLoggrad: flag(algo, "use_loggrad", true),
      convention: conventionOf(entry.config),
    };
    return { xi_condition: condition(operator, entry.tensor("xi"), entry.tensor("x0hat"), y, options) };
  });
  if (entry.outputShape("masks")) result.set("masks", masksOf(entry, indices).kept);
  return result;
};

export const likelihoodKinds: Record<string, Handler> = {
  ll_grad_gaussian: gaussian,
  likelihood_superresolution: superResolved,
  likelihood_hdr: (entry) => entry.compute(() => measured(entry, hdr(imageShape(entry.stored("x"))))),
  likelihood_inpainting: inpainted,
  conditioning,
};
