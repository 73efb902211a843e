// Prior, classifier and h-transform of an entry.
import type { Denoiser } from "../../../src/deft/denoiser.ts";
import type { HTransform } from "../../../src/deft/htransform.ts";
import type { ParameterSet } from "../../../src/nn/parameter.ts";
import type { EncoderUNet } from "../../../src/nn/unet.ts";
import { group, type Entry, type Result } from "./entry.ts";
import type { Fixture } from "./manifest.ts";
import { encoderOf, hTransformOf, load, unetOf } from "./networks.ts";

/** Networks of an entry with their memory; dispose() when done. */
export class Networks {
  readonly #entry: Entry;
  readonly #sets: { dispose(): void }[] = [];

  constructor(entry: Entry) {
    this.#entry = entry;
  }

  async #state(choose: (source: Fixture, role: string | undefined) => boolean, own: boolean) {
    const state = await this.#entry.stateDict(choose, own);
    const source = (this.#entry.fixture.weights_from ?? [])
      .map(({ fixture, role }) => ({ source: this.#entry.folder.fixture(fixture), role }))
      .find(({ source, role }) => choose(source, role))?.source;
    if (!source) throw new Error("weights_from names no network of the role needed");
    return { state, config: source.config };
  }

  /** ε_θ of the prior; class-conditional ones get the entry's labels. */
  async prior(): Promise<Denoiser> {
    const isPrior = ({ kind }: Fixture, role: string | undefined) =>
      role === undefined ? kind !== "encoder_unet" : role === "prior";
    const { state, config } = await this.#state(isPrior, false);
    const net = unetOf(config, state);
    // As the prior of a run is: so the recorded gradients through it are reached with its blocks run again.
    net.recompute = true;
    this.#sets.push((await load(this.#entry.engine, net.declarations, state, { trainable: false })).set);
    const labels = net.config.numClasses === null ? null : this.#entry.numbers("label");
    return (xt, t) => net.forward(xt, t, labels);
  }

  async classifier(): Promise<EncoderUNet> {
    const { state, config } = await this.#state(({ kind }) => kind === "encoder_unet", false);
    const net = encoderOf(config, state);
    this.#sets.push((await load(this.#entry.engine, net.declarations, state, { trainable: false })).set);
    return net;
  }

  async hTransform(trainable: boolean): Promise<{ net: HTransform; set: ParameterSet }> {
    const { state, config } = await this.#state((_, role) => role === "htransform", true);
    const own = this.#entry.config;
    const net = hTransformOf("htransform_model" in own ? group(own, "htransform_model") : config, state);
    const { set } = await load(this.#entry.engine, net.declarations, state, { trainable });
    this.#sets.push(set, { dispose: () => net.release() });
    return { net, set };
  }

  dispose(): void {
    for (const set of this.#sets) set.dispose();
  }
}

export async function withNetworks(
  entry: Entry,
  run: (networks: Networks) => Promise<Result>,
): Promise<Result> {
  const networks = new Networks(entry);
  try {
    return await run(networks);
  } finally {
    networks.dispose();
  }
}
