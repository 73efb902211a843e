// Whole networks: UNet, classifier, h-transform; values, gradients, and samples of each block's output.
import type { Probe } from "../../../src/nn/unet.ts";
import { logSoftmax, mul, reshape, slice, sum, type Tensor } from "../../../src/tensor/index.ts";
import { num, strided, type Entry, type Handler, type StateDict } from "./entry.ts";
import { encoderOf, hTransformOf, isHTransform, onlyDeclared, unetOf } from "./networks.ts";
import { leavesOf, trained } from "./trained.ts";

/** The state dict of an entry that is a network itself. */
const ownState = (entry: Entry): Promise<StateDict> => entry.stateDict(() => true, true);

/** The recorded cotangent; entries without one record no gradient either. */
const seedOf = (entry: Entry, y: Tensor): Tensor => (entry.tensors.has("r") ? entry.tensor("r", y.shape) : y);

const labelsOf = (entry: Entry): number[] | null =>
  entry.tensors.has("label") ? entry.numbers("label") : null;

/** Holds the output of each block beyond the scopes of the network, where the entry records samples of them. */
class Watch {
  readonly #entry: Entry;
  readonly #held: [name: string, t: Tensor, size: number][] = [];

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  readonly probe: Probe = (block, output) => {
    const name = `act_sample.${block}`;
    const size = this.#entry.outputShape(name)?.[0];
    if (size !== undefined) this.#held.push([name, output.alias().keep(), size]);
  };

  async addTo(result: Map<string, ArrayLike<number>>): Promise<void> {
    for (const [name, t, size] of this.#held) {
      result.set(name, strided(await t.read(), size));
      t.dispose();
    }
  }
}

const unet: Handler = async (entry) => {
  const state = await ownState(entry);
  const net = unetOf(entry.config, state);
  const watch = new Watch(entry);
  const { outChannels } = net.config;
  const result = await trained(entry, net.declarations, state, () => {
    const { inputs, leaves } = leavesOf(entry, ["x"]);
    const x = inputs["x"] as Tensor;
    const labels = labelsOf(entry);
    const all = net.forwardAll(x, entry.numbers("t"), labels, watch.probe);
    const y = slice(all, [0, 0], [all.dim(0), outChannels]);
    const outputs: Record<string, Tensor> = { y, [`y${all.dim(1)}_openai`]: all };
    if (entry.tensors.has("t_frac"))
      outputs["y_t_frac"] = entry.engine.noGrad(() => net.forward(x, entry.numbers("t_frac"), labels));
    return { leaves, y, seed: seedOf(entry, y), outputs };
  });
  await watch.addTo(result);
  return result;
};

/** Logits, and log p of the labels with its gradient. */
const encoder: Handler = async (entry) => {
  const all = await ownState(entry);
  const net = encoderOf(entry.config, all);
  const watch = new Watch(entry);
  const state = onlyDeclared(net.declarations, all);
  const result = await trained(entry, net.declarations, state, () => {
    const { inputs, leaves } = leavesOf(entry, ["x"]);
    const logits = net.forward(inputs["x"] as Tensor, entry.numbers("t"), watch.probe);
    const labels = labelsOf(entry);
    const outputs: Record<string, Tensor> = { logits };
    if (!labels) return { leaves, y: logits, seed: seedOf(entry, logits), outputs };
    const [n, classes] = [logits.dim(0), logits.dim(1)];
    const oneHot = new Float32Array(n * classes);
    labels.forEach((label, i) => (oneHot[i * classes + label] = 1));
    const chosen = mul(logSoftmax(logits), entry.engine.tensor(oneHot, [n, classes]));
    const logp = sum(chosen, { axes: [1] });
    const seed = entry.engine.tensor(new Float32Array(n).fill(1));
    return { leaves, y: logp, seed, outputs: { ...outputs, logp_selected: logp } };
  });
  await watch.addTo(result);
  return result;
};

async function hTransformWith(entry: Entry, state: StateDict): Promise<Map<string, ArrayLike<number>>> {
  const net = hTransformOf(entry.config, state);
  return trained(entry, net.declarations, state, () => {
    const { inputs, leaves } = leavesOf(entry, ["x"]);
    const y = net.forward(inputs["x"] as Tensor, entry.numbers("t"));
    const outputs: Record<string, Tensor> = { y };
    for (const name of ["time_scaling", "time_scaling_2d_input"]) {
      const shape = entry.outputShape(name);
      if (!shape) continue;
      const gate = entry.engine.noGrad(() => net.gate(entry.engine, entry.numbers("t_scaling")));
      outputs[name] = reshape(gate, shape);
    }
    return { leaves, y, seed: seedOf(entry, y), outputs };
  });
}

const conditional: Handler = async (entry) => hTransformWith(entry, await ownState(entry));

/** The state at the start of training: the last convolution and the gate's last weight zero, its bias the configured one. */
const initial: Handler = async (entry) => {
  const state = new Map(await ownState(entry));
  const filled = (name: string, value: number): void => {
    const t = state.get(name);
    if (!t) throw new Error(`no weight ${name}`);
    state.set(name, { ...t, data: new Float32Array(t.data.length).fill(value) });
  };
  for (const name of ["out.2.weight", "out.2.bias", "log_likelihood_scaling.4.weight"]) filled(name, 0);
  filled("log_likelihood_scaling.4.bias", num(entry.config, "init_scaling_bias"));
  return hTransformWith(entry, state);
};

/** Weights that other entries use, with a forward pass. */
const weights: Handler = async (entry) => {
  const state = await ownState(entry);
  if (isHTransform(state)) return hTransformWith(entry, state);
  return "pool" in entry.config ? encoder(entry) : unet(entry);
};

export const networkKinds: Record<string, Handler> = {
  unet,
  encoder_unet: encoder,
  cond_unet: conditional,
  cond_unet_init: initial,
  weights,
};
