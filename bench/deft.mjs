// A training step and a sampling step of DEFT, and a forward pass of its prior, on the networks of the program's default run with
// random weights: times do not depend on what the weights are.
import { randomNormal } from "deft-webgpu";
import {
  conditionChannels,
  FineTuning,
  hTransformConfig,
  makeTask,
  Prior,
  priorConfig,
  resolveConfig,
  sampleDdim,
  scheduleOf,
  timesteps,
} from "deft-webgpu/deft";
import { UNet } from "deft-webgpu/nn";
import { prod, uniform } from "./peers/lib/data.mjs";

/** Configuration and networks of a case; super-resolution has no conditioning channels of its own. */
export function setting(c) {
  const { config } = resolveConfig(["algo.deg=sr4", ...c.options]);
  const prior = priorConfig(config.model);
  const channels = conditionChannels(prior.inChannels, 0, config.algo.use_x0hat);
  return { config, prior, hTransform: hTransformConfig(config, channels, prior.inChannels) };
}

const batchOf = (c, config) =>
  c.batch ?? (c.mode === "step" ? config.algo.finetune_args.batch_size : config.loader.batch_size);

/** A work as in works.mjs; `passes` is how many steps a run() makes. */
export async function buildDeft(engine, c) {
  const { config, prior: priorNetwork, hTransform: network } = setting(c);
  const { imageSize: side, inChannels: channels } = priorNetwork;
  const schedule = scheduleOf(config.diffusion);
  const half = config.model.use_fp16;
  if (half && !engine.device.half) throw new Error(`${engine.device.adapterName} has no shader-f16`);
  const prediction = config.model.prediction_type ?? "epsilon";
  const options = { network: priorNetwork, prediction, schedule, half };
  const prior = await Prior.load(engine, options, randomWeights(priorNetwork), "random weights");
  const task = makeTask(config, side, channels, null);
  const fineTuning = new FineTuning({ engine, schedule, prior, network, task, config, totalSteps: 2 ** 20 });
  const count = batchOf(c, config);
  const shape = [count, channels, side, side];
  const values = uniform(1, prod(shape));
  const free = (outs) => outs.forEach((t) => t.dispose());
  if (c.mode === "prior") {
    const x = engine.tensor(values, shape);
    const t = new Float32Array(count).fill(500);
    return { passes: 1, run: () => engine.noGrad(() => [prior.denoise(x, t)]), free };
  }
  if (c.mode === "step")
    return { passes: 1, run: () => [fineTuning.step({ values, count, epoch: 0 })], free };
  const operator = task.operator(engine, []);
  const y = engine.noGrad(() => operator.apply(engine.tensor(values, shape)));
  const { exp, algo } = config;
  const ts = timesteps(exp.start_step, exp.end_step, exp.num_steps);
  const predict = fineTuning.predict(operator, y, algo.val_args.use_ema);
  const draw = (stream) => randomNormal(engine, shape, { seed: 1, stream });
  return {
    passes: ts.length,
    run: async () => [
      await sampleDdim({
        engine,
        schedule,
        ts,
        eta: algo.val_args.eta,
        predict,
        start: draw(0),
        noise: (k) => draw(1 + k),
      }),
    ],
    free,
  };
}

export function randomWeights(network) {
  const parameters = new Map(new UNet(network).declarations.list.map((p) => [p.name, p]));
  return {
    names: [...parameters.keys()],
    shape: (name) => parameters.get(name).shape,
    async read(name) {
      const { shape } = parameters.get(name);
      const scale = shape.length === 1 ? 0.1 : 1 / Math.sqrt(prod(shape.slice(1)));
      return uniform(prod(shape), prod(shape), scale);
    },
  };
}

/**
 * Floating-point operations of one step: the prior's forward pass and the h-transform's, which counts three times in training
 * and not at all where the prior alone is timed.
 */
export function deftCost(c) {
  const { config, prior, hTransform } = setting(c);
  const own = c.mode === "prior" ? 0 : networkCost(hTransform) * (c.mode === "step" ? 3 : 1);
  return batchOf(c, config) * (networkCost(prior) + own);
}

/** Floating-point operations of one picture's forward pass through an ADM UNet: convolutions, attention and linear layers. */
export function networkCost(c) {
  const embedding = 4 * c.modelChannels;
  let [side, total] = [c.imageSize, 2 * (c.modelChannels * embedding + embedding * embedding)];
  const conv = (from, to, kernel) => void (total += 2 * from * to * kernel * kernel * side * side);
  const res = (from, to) => {
    total += 2 * embedding * to * (c.useScaleShiftNorm ? 2 : 1);
    conv(from, to, 3);
    conv(to, to, 3);
    if (from !== to) conv(from, to, 1);
  };
  const attend = (channels) => {
    if (!c.attentionFactors.includes(c.imageSize / side)) return;
    conv(channels, 4 * channels, 1);
    total += 4 * channels * side ** 4;
  };
  let channels = c.channelMult[0] * c.modelChannels;
  conv(c.inChannels, channels, 3);
  const widths = [channels];
  c.channelMult.forEach((mult, level) => {
    for (let i = 0; i < c.numResBlocks; i++) {
      res(channels, mult * c.modelChannels);
      channels = mult * c.modelChannels;
      attend(channels);
      widths.push(channels);
    }
    if (level === c.channelMult.length - 1) return;
    side /= 2;
    if (c.resblockUpdown) res(channels, channels);
    else conv(channels, channels, 3);
    widths.push(channels);
  });
  res(channels, channels);
  conv(channels, 4 * channels, 1);
  total += 4 * channels * side ** 4;
  res(channels, channels);
  for (let level = c.channelMult.length - 1; level >= 0; level--) {
    const to = c.channelMult[level] * c.modelChannels;
    for (let i = 0; i <= c.numResBlocks; i++) {
      res(channels + widths.pop(), to);
      channels = to;
      attend(channels);
    }
    if (level === 0) break;
    side *= 2;
    if (c.resblockUpdown) res(channels, channels);
    else conv(channels, channels, 3);
  }
  conv(channels, c.outChannels * (c.learnSigma ? 2 : 1), 3);
  return total;
}
