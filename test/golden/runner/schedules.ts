// Schedule, timesteps, coefficients of a DDIM step, moving average: what runs on the host.
import { classifierScale } from "../../../src/deft/guidance.ts";
import {
  betas,
  ddimCoefficients,
  Schedule,
  timesteps,
  type BetaSchedule,
} from "../../../src/deft/schedule.ts";
import { emaDecay } from "../../../src/nn/ema.ts";
import { groups, list, num, pythonFloat, text, Unsupported, type Config, type Handler } from "./entry.ts";

const known: readonly string[] = [
  "linear",
  "quad",
  "const",
  "jsd",
  "sigmoid",
  "cosine",
] satisfies BetaSchedule[];

function optionsOf(config: Config) {
  const betaSchedule = text(config, "beta_schedule", "linear");
  if (!known.includes(betaSchedule)) throw new Unsupported(`beta_schedule ${betaSchedule}`);
  return {
    betaSchedule: betaSchedule as BetaSchedule,
    betaStart: num(config, "beta_start", 1e-4),
    betaEnd: num(config, "beta_end", 0.02),
    numTimesteps: num(config, "num_diffusion_timesteps", 1000),
  };
}

/** The schedule that a config names; linear with 1000 steps where it names none. */
export const scheduleOf = (config: Config): Schedule => new Schedule(optionsOf(config));

const diffusionSchedule: Handler = async ({ config }) => {
  const { betas: betas32, alphaBars } = scheduleOf(config);
  const betas64 = Float64Array.from([0, ...betas(optionsOf(config))]);
  let product = 1;
  const alphas64 = betas64.map((b) => (product *= 1 - b));
  return new Map<string, ArrayLike<number>>([
    ["betas", betas32],
    ["alphas", alphaBars],
    ["betas_f64", betas64],
    ["alphas_f64", alphas64],
  ]);
};

const stepLists: Handler = async ({ config }) =>
  new Map(
    groups(config, "cases").map((c) => [
      text(c, "output"),
      timesteps(num(c, "start_step"), num(c, "end_step"), num(c, "num_steps")),
    ]),
  );

const coefficients: Handler = async (entry) => {
  const schedule = scheduleOf(entry.config);
  const [ts, ss] = [entry.numbers("ts"), entry.numbers("ss")];
  const result = new Map<string, number[]>([
    ["alpha_t", ts.map((t) => schedule.alphaBar(t))],
    ["alpha_s", ss.map((s) => schedule.alphaBar(s))],
  ]);
  for (const eta of list(entry.config, "etas")) {
    const pairs = ts.map((t, i) => ({ t: schedule.alphaBar(t), s: schedule.alphaBar(ss[i] ?? -1) }));
    const name = pythonFloat(eta);
    const both = pairs.map(({ t, s }) => ddimCoefficients(t, s, eta));
    result.set(
      `c1_eta${name}`,
      both.map(({ c1 }) => c1),
    );
    result.set(
      `c2_eta${name}`,
      both.map(({ c2 }) => c2),
    );
    result.set(
      `cond_awd_scale_eta${name}`,
      pairs.map(({ t, s }) => classifierScale(t, s, eta)),
    );
  }
  return result;
};

/** At each call: 0 nothing, 1 copy, 2 lerp; the decay (−1 where nothing lerps); the average of sin(0.01·call). */
const emaSchedule: Handler = async (entry) => {
  const result = new Map<string, number[]>();
  for (const c of groups(entry.config, "cases")) {
    const options = {
      beta: num(c, "beta"),
      updateAfterStep: num(c, "update_after_step"),
      updateEvery: num(c, "update_every"),
    };
    const name = text(c, "name");
    const calls = entry.outputShape(`${name}.action`)?.[0] ?? 0;
    const decays = Array.from({ length: calls }, (_, i) => emaDecay(i, options));
    let average = 0;
    result.set(
      `${name}.action`,
      decays.map((d) => (d === null ? 0 : d === 0 ? 1 : 2)),
    );
    result.set(
      `${name}.decay`,
      decays.map((d) => (d === null || d === 0 ? -1 : d)),
    );
    result.set(
      `${name}.ema_of_sin`,
      decays.map((d, i) => (average = d === null ? average : d * average + (1 - d) * Math.sin(0.01 * i))),
    );
  }
  return result;
};

export const scheduleKinds: Record<string, Handler> = {
  diffusion_schedule: diffusionSchedule,
  timesteps: stepLists,
  ddim_coefficients: coefficients,
  ema_schedule: emaSchedule,
};
