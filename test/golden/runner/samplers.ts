// Restoring a measurement with the prior and the operator alone.
import type { Algorithm, Problem } from "../../../src/deft/algorithms/algorithm.ts";
import { ddrm } from "../../../src/deft/algorithms/ddrm.ts";
import { dps } from "../../../src/deft/algorithms/dps.ts";
import { mcg } from "../../../src/deft/algorithms/mcg.ts";
import { pgdm } from "../../../src/deft/algorithms/pgdm.ts";
import { denoiseTermWeights, reddiff } from "../../../src/deft/algorithms/reddiff.ts";
import { flag, group, list, num, text, Unsupported, type Config, type Handler } from "./entry.ts";
import { withNetworks } from "./entry-networks.ts";
import { asMeasurement, Draws, imageShape, operatorOf } from "./operators.ts";
import { scheduleOf } from "./schedules.ts";

/** A run from recorded draws; the outputs are the trace, and the result under the name given. `size`: the numbers of a picture. */
function sampler<O extends object>(
  algorithm: Algorithm<O>,
  result: string,
  optionsOf: (algo: Config, size: number) => Partial<O>,
): Handler {
  return (entry) =>
    withNetworks(entry, async (networks) => {
      const { config, engine } = entry;
      const algo = group(config, "algo");
      const { shape } = entry.stored("x_true");
      const size = shape.slice(1).reduce((a, b) => a * b, 1);
      const indices = "mask_indices" in config ? list(config, "mask_indices") : [];
      const operator = operatorOf(entry, text(algo, "deg"), imageShape({ shape }), indices);
      const y = entry.hold(engine.scope(() => asMeasurement(operator, entry.tensor("y_0"))));
      const draws = new Draws(entry);
      const trace = { xt: [] as number[], x0: [] as number[] };
      let picture: ArrayLike<number> = [];
      const problem: Problem = {
        engine,
        schedule: scheduleOf(config),
        prior: await networks.prior(),
        operator,
        y,
        ts: list(config, "ts"),
        draws: {
          normal: (shape) => draws.normal(shape),
          uniform: () => {
            throw new Unsupported(`${algorithm.name} draws timesteps`);
          },
        },
        onStep: async (_, step) => {
          for (const v of await step.xt.read()) trace.xt.push(v);
          for (const v of await step.x0.read()) trace.x0.push(v);
          if (step.picture) picture = await step.picture.read();
        },
      };
      const final = await algorithm.sample(problem, optionsOf(algo, size));
      const outputs = await entry.compute(() => ({ [result]: final }));
      outputs.set("trace.xt", trace.xt).set("trace.x0", trace.x0).set("x0_pred_returned", picture);
      return outputs;
    });
}

const guided = (algo: Config) => ({
  gradTermWeight: num(algo, "grad_term_weight"),
  eta: num(algo, "eta"),
});

function weighting(algo: Config): (typeof denoiseTermWeights)[number] {
  const name = text(algo, "denoise_term_weight");
  const known = denoiseTermWeights.find((w) => w === name);
  if (!known) throw new Unsupported(`denoise_term_weight ${name}`);
  return known;
}

export const samplerKinds: Record<string, Handler> = {
  sampler_dps: sampler(dps, "x_final", (algo) => ({ ...guided(algo), original: flag(algo, "original") })),
  sampler_mcg: sampler(mcg, "x_final", guided),
  sampler_pgdm: sampler(pgdm, "x_final", (algo, size) => {
    const defaults = pgdm.defaultsFor(text(algo, "deg"));
    // The original takes the weight of 3x256x256 at any size.
    const contrastWeight = (defaults.contrastWeight * 3 * 256 ** 2) / size;
    return { ...defaults, contrastWeight, ...guided(algo), awd: flag(algo, "awd") };
  }),
  sampler_reddiff: sampler(reddiff, "mu_final", (algo) => ({
    lr: num(algo, "lr"),
    gradTermWeight: num(algo, "grad_term_weight"),
    obsWeight: num(algo, "obs_weight"),
    denoiseTermWeight: weighting(algo),
    sigmaX0: num(algo, "sigma_x0"),
  })),
  sampler_ddrm: sampler(ddrm, "x_final", (algo) => ({
    sigmaY: num(algo, "sigma_y"),
    eta: num(algo, "eta"),
    etaB: num(algo, "eta_b"),
  })),
};
