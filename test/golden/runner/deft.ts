// Fine-tuning and sampling with an h-transform beside a frozen prior.
import type { ConditionOptions } from "../../../src/deft/condition.ts";
import type { Denoiser } from "../../../src/deft/denoiser.ts";
import { guidedPredict } from "../../../src/deft/guidance.ts";
import type { HTransform } from "../../../src/deft/htransform.ts";
import { measure } from "../../../src/deft/likelihood.ts";
import { deftLoss, type LossParts } from "../../../src/deft/loss.ts";
import type { Operator } from "../../../src/deft/operator.ts";
import { deftPredict, priorPredict, sampleDdim, type Predict } from "../../../src/deft/sample.ts";
import type { Schedule } from "../../../src/deft/schedule.ts";
import { learningRate, Trainer } from "../../../src/deft/trainer.ts";
import { addNoise } from "../../../src/deft/denoiser.ts";
import { readState } from "../../../src/nn/state.ts";
import { affine, type Tensor } from "../../../src/tensor/index.ts";
import { flag, group, list, num, text, type Config, type Entry, type Handler, type Result } from "./entry.ts";
import { withNetworks } from "./entry-networks.ts";
import { byParameter, readGradients } from "./networks.ts";
import { asMeasurement, conventionOf, Draws, imageShape, operatorOf, type ImageShape } from "./operators.ts";
import { scheduleOf } from "./schedules.ts";

function conditionOptions(config: Config): ConditionOptions {
  const algo = group(config, "algo");
  return {
    sigmaY: num(config, "sigma", num(algo, "sigma_y", 0)),
    useX0hat: flag(algo, "use_x0hat", true),
    useLoggrad: flag(algo, "use_loggrad", true),
    convention: conventionOf(config),
  };
}

interface LossSetting {
  readonly entry: Entry;
  readonly schedule: Schedule;
  readonly prior: Denoiser;
  readonly hTransform: HTransform;
  readonly draws: Draws;
  readonly deg: string;
  readonly options: ConditionOptions;
}

/** The loss of one batch in [-1, 1], its draws in this order: masks, measurement noise, timesteps, z. Inside a scope. */
function lossOf(s: LossSetting, x: Tensor): LossParts {
  const { entry, schedule, prior, hTransform, draws, options } = s;
  const shape: ImageShape = imageShape(x);
  const operator: Operator = operatorOf(entry, s.deg, shape, s.deg === "inp" ? draws.integers() : []);
  const noise = draws.normal([x.dim(0), ...operator.outShape]);
  const y = entry.engine.noGrad(() => measure(operator, x, options.sigmaY, noise));
  const t = draws.integers();
  const z = draws.normal(x.shape);
  return deftLoss({ schedule, prior, hTransform, operator, options, x, y, z, t });
}

const loss: Handler = (entry) =>
  withNetworks(entry, async (networks) => {
    const { engine, config } = entry;
    const prior = await networks.prior();
    const { net, set } = await networks.hTransform(true);
    const options = conditionOptions(config);
    const [schedule, draws] = [scheduleOf(config), new Draws(entry)];
    const deg = text(group(config, "algo"), "deg");
    const { parts, gradients } = engine.scope(() => {
      const parts = lossOf(
        { entry, schedule, prior, hTransform: net, draws, deg, options },
        entry.tensor("x"),
      );
      return {
        parts,
        gradients: engine.gradients(
          parts.loss,
          set.parameters.map((p) => p.value),
        ),
      };
    });
    const { loss, xt: xi, eps2: z2, conditioning: xi_condition, eps1: z1 } = parts;
    const result = await entry.compute(() => ({ loss, xi, z2, xi_condition, z1 }));
    for (const [name, v] of byParameter(entry, "gw.", await readGradients(set, gradients)))
      result.set(name, v);
    return result;
  });

/** Optimiser steps on the recorded batches x01.0, x01.1, … in [0, 1]. */
const training: Handler = (entry) =>
  withNetworks(entry, async (networks) => {
    const { config } = entry;
    const algo = group(config, "algo");
    const [tuning, ema] = [group(algo, "finetune_args"), group(algo, "ema")];
    const prior = await networks.prior();
    const { net, set } = await networks.hTransform(true);
    const trainer = new Trainer(set, {
      beta: num(ema, "beta", 0.999),
      updateAfterStep: num(ema, "update_after_step", 400),
      updateEvery: num(ema, "update_every", 10),
    });
    const setting: LossSetting = {
      entry,
      schedule: scheduleOf(config),
      prior,
      hTransform: net,
      draws: new Draws(entry),
      deg: text(algo, "deg"),
      options: conditionOptions(config),
    };
    const steps = num(config, "steps");
    const losses: number[] = [];
    for (let k = 0; k < steps; k++) {
      const lr = learningRate(num(tuning, "lr"), k, steps, flag(tuning, "lr_annealing", true));
      const value = trainer.step(lr, () => lossOf(setting, affine(entry.tensor(`x01.${k}`), 2, -1)).loss);
      losses.push((await value.read())[0] as number);
      value.dispose();
    }
    const result = new Map<string, ArrayLike<number>>([["loss_per_step", losses]]);
    for (const [prefix, flat] of [
      ["w_final.", set.flat],
      ["ema_final.", trainer.average],
    ] as const) {
      const values = new Map((await readState(set, flat)).map(({ name, data }) => [name, data]));
      for (const [name, v] of byParameter(entry, prefix, values)) result.set(name, v);
    }
    trainer.dispose();
    return result;
  });

/** Runs DDIM from recorded noise: `start` and one draw a step; x_final is the last x̂0, trace.* its steps. */
async function sampled(
  entry: Entry,
  o: { schedule: Schedule; ts: number[]; eta: number; predict: Predict; start: Tensor; draws: Draws },
): Promise<Result> {
  const { engine } = entry;
  const trace = { xt: [] as number[], x0: [] as number[], et: [] as number[] };
  const shape = o.start.shape;
  // Drawn whether or not the step uses it, so that the order of the draws holds.
  const noises = o.ts.map(() => entry.hold(o.draws.normal(shape)));
  const append = async (list: number[], t: Tensor): Promise<void> => {
    for (const v of await t.read()) list.push(v);
  };
  const final = await sampleDdim({
    ...o,
    engine,
    noise: (k) => noises[k] as Tensor,
    onStep: async (_, { xt, x0, eps }) => {
      await append(trace.xt, xt);
      await append(trace.x0, x0);
      await append(trace.et, eps);
    },
  });
  const result = await entry.compute(() => ({ x_final: final }));
  for (const [name, values] of Object.entries(trace)) result.set(`trace.${name}`, values);
  return result;
}

const ddim: Handler = (entry) =>
  withNetworks(entry, async (networks) => {
    const { config, engine } = entry;
    const [algo, ts] = [group(config, "algo"), list(config, "ts")];
    const [schedule, eta, draws] = [scheduleOf(config), num(algo, "eta"), new Draws(entry)];
    const prior = await networks.prior();
    const guided = (config["classifier"] ?? null) !== null;
    const predict = guided
      ? guidedPredict(schedule, prior, {
          classifier: await networks.classifier(),
          labels: entry.numbers("label"),
          strength: num(group(config, "classifier"), "classifier_scale"),
          isAdaptive: flag(algo, "cond_awd"),
          ts,
          eta,
        })
      : priorPredict(schedule, prior);
    const start = engine.scope(() => {
      const x = entry.tensor("x");
      const z = draws.normal(x.shape);
      if (!flag(algo, "sdedit")) return z;
      return addNoise(schedule, x, z, new Array<number>(x.dim(0)).fill(Math.max(...ts)));
    });
    return sampled(entry, { schedule, ts, eta, predict, start, draws });
  });

const deft: Handler = (entry) =>
  withNetworks(entry, async (networks) => {
    const { config, engine } = entry;
    const [algo, ts] = [group(config, "algo"), list(config, "ts")];
    const [schedule, draws] = [scheduleOf(config), new Draws(entry)];
    const prior = await networks.prior();
    const { net } = await networks.hTransform(false);
    const { shape } = entry.stored("x_true");
    const indices = "mask_indices" in config ? list(config, "mask_indices") : [];
    const operator = operatorOf(entry, text(algo, "deg"), imageShape({ shape }), indices);
    const y = entry.hold(engine.scope(() => asMeasurement(operator, entry.tensor("y_0"))));
    draws.skip();
    const start = draws.normal(shape);
    const predict = deftPredict(schedule, prior, net, operator, y, conditionOptions(config));
    const eta = num(group(algo, "val_args"), "eta");
    return sampled(entry, { schedule, ts, eta, predict, start, draws });
  });

export const deftKinds: Record<string, Handler> = {
  deft_loss: loss,
  deft_train: training,
  sampler_ddim: ddim,
  sampler_deft: deft,
};
