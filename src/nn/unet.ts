// The ADM UNet and its encoder half (Dhariwal & Nichol 2021), with the parameter names of the public checkpoints.
import {
  add,
  cast,
  checkpoint,
  concat,
  embedding,
  mean,
  reshape,
  silu,
  ShapeError,
  slice,
  timestepEmbedding,
  type Engine,
  type Tensor,
} from "../tensor/index.ts";
import { attentionBlock, attentionPool, resBlock, type Block } from "./blocks.ts";
import { Dropout } from "./dropout.ts";
import {
  conv2dLayer,
  downsampleLayer,
  groupNormLayer,
  linearLayer,
  upsampleLayer,
  type Layer,
} from "./layers.ts";
import { Declarations } from "./parameter.ts";

export interface UNetConfig {
  readonly imageSize: number;
  readonly inChannels: number;
  /** Channels of the result; the last layer has twice as many with learnSigma, of which the first half is ε. */
  readonly outChannels: number;
  readonly learnSigma: boolean;
  readonly modelChannels: number;
  readonly channelMult: readonly number[];
  readonly numResBlocks: number;
  /** Downsampling factors at which attention is used (1 = full side). */
  readonly attentionFactors: readonly number[];
  readonly numHeads: number;
  /** Heads of the decoder where numHeadChannels is -1; -1 or absent: numHeads. */
  readonly numHeadsUpsample?: number;
  /** Channels of a head; -1: numHeads rules. */
  readonly numHeadChannels: number;
  readonly useScaleShiftNorm: boolean;
  readonly resblockUpdown: boolean;
  readonly useNewAttentionOrder: boolean;
  /**
   * Groups of the norms; absent: 32, as ADM has. A group of one channel loses its mean, so a network of few channels that is to
   * predict a picture's mean colour needs fewer groups.
   */
  readonly normGroups?: number;
  /** null: no class conditioning. */
  readonly numClasses: number | null;
  /** Share of the values that residual blocks drop in training; absent: 0. */
  readonly dropout?: number;
}

/** Called with the name of each top-level block and its output: for tests that look for the first diverging layer. */
export type Probe = (block: string, output: Tensor) => void;

interface Sequence {
  readonly name: string;
  readonly run: Block;
}

/** Encoder half: input blocks, the channels of each one's output, and what follows from them. */
function encoder(
  d: Declarations,
  c: UNetConfig,
  dropout: Dropout,
): { blocks: Sequence[]; widths: number[]; channels: number; factor: number } {
  const block = resOptions(c, dropout);
  let channels = Math.floor((c.channelMult[0] ?? 1) * c.modelChannels);
  const first = conv2dLayer(d.in("input_blocks.0.0"), c.inChannels, channels);
  const blocks: Sequence[] = [{ name: "input_blocks.0", run: (x) => first(x) }];
  const widths = [channels];
  let factor = 1;
  c.channelMult.forEach((mult, level) => {
    for (let i = 0; i < c.numResBlocks; i++) {
      const name = `input_blocks.${blocks.length}`;
      const out = Math.floor(mult * c.modelChannels);
      const parts = [resBlock(d.in(`${name}.0`), { ...block, channels, outChannels: out })];
      channels = out;
      if (c.attentionFactors.includes(factor))
        parts.push(attentionBlock(d.in(`${name}.1`), { ...c, channels }));
      blocks.push({ name, run: chain(parts) });
      widths.push(channels);
    }
    if (level < c.channelMult.length - 1) {
      const name = `input_blocks.${blocks.length}`;
      const down: Block = c.resblockUpdown
        ? resBlock(d.in(`${name}.0`), { ...block, channels, resample: "down" })
        : downsampleLayer(d.in(`${name}.0`), channels, channels, true);
      blocks.push({ name, run: down });
      widths.push(channels);
      factor *= 2;
    }
  });
  return { blocks, widths, channels, factor };
}

const resOptions = (c: UNetConfig, dropout: Dropout) => ({
  embChannels: 4 * c.modelChannels,
  useScaleShiftNorm: c.useScaleShiftNorm,
  ...(c.normGroups !== undefined && { normGroups: c.normGroups }),
  dropout,
});

const chain =
  (parts: readonly Block[]): Block =>
  (x, emb) =>
    x.engine.scope(() => parts.reduce((h, part) => part(h, emb), x));

function middle(d: Declarations, c: UNetConfig, dropout: Dropout, channels: number): Block {
  const block = { ...resOptions(c, dropout), channels };
  return chain([
    resBlock(d.in("middle_block.0"), block),
    attentionBlock(d.in("middle_block.1"), { ...c, channels }),
    resBlock(d.in("middle_block.2"), block),
  ]);
}

/** Linear → SiLU → Linear of width 4·modelChannels on the sinusoidal embedding. */
export function timeEmbed(d: Declarations, modelChannels: number): Layer {
  const [a, b] = [
    linearLayer(d.in(0), modelChannels, 4 * modelChannels),
    linearLayer(d.in(2), 4 * modelChannels, 4 * modelChannels),
  ];
  return (t) => b(silu(a(t)));
}

/** How a block is called: as it is, or so that it is run again in the backward pass. */
type Call = (block: (...inputs: Tensor[]) => Tensor, inputs: readonly [Tensor, ...Tensor[]]) => Tensor;

const plainly: Call = (block, inputs) => block(...inputs);

/** Runs the encoder; the outputs of all blocks, the last one last. */
function encode(
  blocks: readonly Sequence[],
  x: Tensor,
  emb: Tensor,
  probe: Probe | undefined,
  call: Call = plainly,
): Tensor[] {
  const outputs: Tensor[] = [];
  let h = x;
  for (const { name, run } of blocks) {
    h = call(run as (...inputs: Tensor[]) => Tensor, [h, emb]);
    probe?.(name, h);
    outputs.push(h);
  }
  return outputs;
}

export class UNet {
  readonly config: UNetConfig;
  /**
   * Blocks keep their inputs alone for the backward pass and run once more there: memory of one block besides the blocks' inputs,
   * for one more forward pass. Without a tape it changes nothing.
   */
  recompute = false;
  readonly dropout: Dropout;
  readonly declarations: Declarations;
  readonly #embed: (prepared: readonly Tensor[], probe: Probe | undefined) => Tensor;
  readonly #encoder: readonly Sequence[];
  readonly #middle: Block;
  readonly #decoder: readonly Sequence[] = [];
  readonly #out: Layer;

  constructor(config: UNetConfig, declarations = new Declarations()) {
    const [c, d] = [config, declarations];
    this.config = c;
    this.dropout = new Dropout(c.dropout ?? 0);
    this.declarations = d;
    const embChannels = 4 * c.modelChannels;
    const time = timeEmbed(d.in("time_embed"), c.modelChannels);
    const table =
      c.numClasses === null
        ? null
        : d.in("label_emb").add("weight", [c.numClasses, embChannels], { normal: 1 });
    this.#embed = ([angles, labels], probe) => {
      const emb = time(angles as Tensor);
      probe?.("time_embed", emb);
      return table ? add(emb, embedding(table.value, labels as Tensor)) : emb;
    };
    const { blocks, widths, channels: top, factor: deepest } = encoder(d, c, this.dropout);
    this.#encoder = blocks;
    this.#middle = middle(d, c, this.dropout, top);
    const block = resOptions(c, this.dropout);
    const upHeads = c.numHeadsUpsample ?? -1;
    const up = { ...c, numHeads: upHeads > 0 ? upHeads : c.numHeads };
    let [channels, factor] = [top, deepest];
    const decoder: Sequence[] = [];
    for (let level = c.channelMult.length - 1; level >= 0; level--)
      for (let i = 0; i <= c.numResBlocks; i++) {
        const name = `output_blocks.${decoder.length}`;
        const out = Math.floor((c.channelMult[level] ?? 1) * c.modelChannels);
        const parts = [
          resBlock(d.in(`${name}.0`), {
            ...block,
            channels: channels + (widths.pop() ?? 0),
            outChannels: out,
          }),
        ];
        channels = out;
        if (c.attentionFactors.includes(factor))
          parts.push(attentionBlock(d.in(`${name}.${parts.length}`), { ...up, channels }));
        if (level > 0 && i === c.numResBlocks) {
          const at = d.in(`${name}.${parts.length}`);
          parts.push(
            c.resblockUpdown
              ? resBlock(at, { ...block, channels, resample: "up" })
              : upsampleLayer(at, channels, channels, true),
          );
          factor /= 2;
        }
        decoder.push({ name, run: chain(parts) });
      }
    this.#decoder = decoder;
    const norm = groupNormLayer(d.in("out.0"), channels, c.normGroups);
    const conv = conv2dLayer(d.in("out.2"), channels, c.outChannels * (c.learnSigma ? 2 : 1), {
      zero: true,
      full: true,
    });
    this.#out = (x) => conv(norm(x, { silu: true }));
  }

  /**
   * What `apply` takes beside x, as tensors: the sinusoidal embedding of t [N, modelChannels], t N real numbers in 0…999; and the class
   * numbers [N] when the network is class-conditional.
   */
  prepare(engine: Engine, t: ArrayLike<number>, labels: ArrayLike<number> | null = null): Tensor[] {
    const angles = timestepEmbedding(engine, t, this.config.modelChannels);
    if (this.config.numClasses === null) return [angles];
    if (!labels || labels.length !== t.length)
      throw new ShapeError(
        `unet: class-conditional network needs one label an image; got ${labels?.length ?? 0} for ${t.length}`,
      );
    return [angles, engine.tensor(Uint32Array.from(labels))];
  }

  /** All channels of the last layer. x [N, inChannels, H, W] with H and W multiples of 2^(levels-1); the rest as in `prepare`. */
  forwardAll(
    x: Tensor,
    t: ArrayLike<number>,
    labels: ArrayLike<number> | null = null,
    probe?: Probe,
  ): Tensor {
    return x.engine.scope(() => this.#run(x, this.prepare(x.engine, t, labels), probe));
  }

  #run(x: Tensor, prepared: readonly Tensor[], probe?: Probe): Tensor {
    this.#check(x, prepared[0]?.dim(0) ?? 0);
    const call = this.recompute ? this.#again() : plainly;
    return x.engine.scope(() => {
      const emb = this.#embed(prepared, probe);
      // As ADM in float16: features and convolutions' weights up to the last layer.
      const half = this.declarations.list.some((p) => p.value.half);
      const skips = encode(this.#encoder, half ? cast(x, "f16") : x, emb, probe, call);
      let h = call((top, e) => this.#middle(top as Tensor, e as Tensor), [skips.at(-1) as Tensor, emb]);
      probe?.("middle_block", h);
      for (const { name, run } of this.#decoder) {
        const skip = skips.pop() as Tensor;
        const before = h;
        h = call(
          (a, b, e) => x.engine.scope(() => run(concat([a as Tensor, b as Tensor], 1), e as Tensor)),
          [before, skip, emb],
        );
        // Without a tape nothing needs these any more; with one, the nodes hold their own pins.
        before.dispose("the next block has read it");
        if (skip !== before) skip.dispose("the decoder has read it");
        probe?.(name, h);
      }
      return call((last) => this.#out(last as Tensor), [half ? cast(h, "f32") : h]);
    });
  }

  #again(): Call {
    if (this.dropout.isOn)
      throw new ShapeError(
        "unet: recompute with dropout; blocks run again would drop others: set one of both off",
      );
    const parameters = this.declarations.list.map((p) => p.value).filter((p) => p.requiresGrad);
    return (block, inputs) => checkpoint(block, inputs, parameters);
  }

  /** ε_θ(x_t, t): the first outChannels channels. Arguments as in forwardAll. */
  forward(x: Tensor, t: ArrayLike<number>, labels: ArrayLike<number> | null = null): Tensor {
    return x.engine.scope(() => this.apply(x, this.prepare(x.engine, t, labels)));
  }

  /** The same as a pure function of tensors, which a Plan can replay. */
  apply(x: Tensor, prepared: readonly Tensor[]): Tensor {
    if (!this.config.learnSigma) return this.#run(x, prepared);
    return x.engine.scope(() => {
      const all = this.#run(x, prepared);
      return slice(all, [0, 0, 0, 0], [all.dim(0), this.config.outChannels, all.dim(2), all.dim(3)]);
    });
  }

  #check(x: Tensor, times: number): void {
    const [n, c, h, w] = [x.dim(0), x.dim(1), x.dim(2), x.dim(3)];
    const multiple = 2 ** (this.config.channelMult.length - 1);
    if (c !== this.config.inChannels)
      throw new ShapeError(`unet: x has ${c} channels; the network takes ${this.config.inChannels}`);
    if (h % multiple !== 0 || w % multiple !== 0)
      throw new ShapeError(
        `unet: image ${h}x${w}; both sides must be multiples of ${multiple} for ${this.config.channelMult.length} levels`,
      );
    if (times !== n) throw new ShapeError(`unet: ${times} timesteps for ${n} images`);
  }
}

export interface EncoderUNetConfig extends UNetConfig {
  readonly pool: "attention" | "adaptive";
}

/** The encoder half with a pooled head: the noisy classifier of ADM. outChannels is the number of classes. */
export class EncoderUNet {
  readonly config: EncoderUNetConfig;
  readonly dropout: Dropout;
  readonly declarations: Declarations;
  readonly #time: Layer;
  readonly #encoder: readonly Sequence[];
  readonly #middle: Block;
  readonly #head: Layer;

  constructor(config: EncoderUNetConfig, declarations = new Declarations()) {
    const [c, d] = [config, declarations];
    this.config = c;
    this.dropout = new Dropout(c.dropout ?? 0);
    this.declarations = d;
    this.#time = timeEmbed(d.in("time_embed"), c.modelChannels);
    const { blocks, channels, factor } = encoder(d, c, this.dropout);
    this.#encoder = blocks;
    this.#middle = middle(d, c, this.dropout, channels);
    const norm = groupNormLayer(d.in("out.0"), channels, c.normGroups);
    if (c.pool === "attention") {
      const side = Math.floor(c.imageSize / factor);
      const pool = attentionPool(d.in("out.2"), {
        side,
        channels,
        numHeadChannels: c.numHeadChannels,
        outChannels: c.outChannels,
      });
      this.#head = (x) => pool(norm(x, { silu: true }));
    } else {
      const conv = conv2dLayer(d.in("out.3"), channels, c.outChannels, { kernel: 1, zero: true });
      this.#head = (x) =>
        reshape(conv(mean(norm(x, { silu: true }), { axes: [2, 3], keepdim: true })), [
          x.dim(0),
          c.outChannels,
        ]);
    }
  }

  /** Class logits [N, outChannels] of noisy images at timesteps t. */
  forward(x: Tensor, t: ArrayLike<number>, probe?: Probe): Tensor {
    return x.engine.scope(() => {
      const emb = this.#time(timestepEmbedding(x.engine, t, this.config.modelChannels));
      probe?.("time_embed", emb);
      const h = this.#middle(encode(this.#encoder, x, emb, probe).at(-1) as Tensor, emb);
      probe?.("middle_block", h);
      return this.#head(h);
    });
  }
}
