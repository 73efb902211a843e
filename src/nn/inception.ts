// Inception-v3 as FID, KID and the Inception score use it, under torchvision's names (pytorch-fid's pt_inception-2015-12-05).
import { concat, conv2d, maxPool2d, mean, pad, relu, type Engine, type Tensor } from "../tensor/index.ts";
import { alongSides, bilinear, neighbourMeans } from "./along-sides.ts";
import { CheckpointError } from "./errors.ts";
import { linearLayer, type Layer } from "./layers.ts";
import { fanIn, Declarations, ParameterSet } from "./parameter.ts";
import { loadWeights, type WeightSource } from "./state.ts";

/** Side that pictures are brought to, which the network was trained at. */
const SIDE = 299;
export const INCEPTION_FEATURES = 2048;
export const INCEPTION_CLASSES = 1008;
const BATCH_NORM_EPS = 1e-3;

interface ConvOptions {
  /** Height and width, or the side. */
  readonly kernel: number | readonly [number, number];
  readonly stride?: number;
  readonly padding?: number | readonly [number, number];
}

type Blocks = (d: Declarations) => Layer;

/** Convolution, the batch norm folded into it, ReLU. weight [out, in, kh, kw], bias [out]. */
function convolution(
  d: Declarations,
  inC: number,
  outC: number,
  { kernel, stride = 1, padding = 0 }: ConvOptions,
): Layer {
  const [kh, kw] = typeof kernel === "number" ? [kernel, kernel] : kernel;
  const init = fanIn(inC * kh * kw);
  const [w, b] = [d.add("weight", [outC, inC, kh, kw], init), d.add("bias", [outC], init)];
  if (typeof padding === "number") return (x) => relu(conv2d(x, w.value, b.value, { stride, padding }));
  const [ph, pw] = padding;
  return (x) =>
    relu(
      conv2d(
        pad(x, [
          [ph, ph],
          [pw, pw],
        ]),
        w.value,
        b.value,
        { stride },
      ),
    );
}

const chain =
  (...layers: Layer[]): Layer =>
  (x) =>
    layers.reduce((y, layer) => layer(y), x);
const beside =
  (...branches: Layer[]): Layer =>
  (x) =>
    concat(
      branches.map((branch) => branch(x)),
      1,
    );

const ACROSS = { kernel: [1, 7], padding: [0, 3] } as const;
const DOWN = { kernel: [7, 1], padding: [3, 0] } as const;
const NARROW = { kernel: [1, 3], padding: [0, 1] } as const;
const TALL = { kernel: [3, 1], padding: [1, 0] } as const;
const SAME = { kernel: 3, padding: 1 } as const;
const HALF = { kernel: 3, stride: 2 } as const;
const ONE = { kernel: 1 } as const;

/** Szegedy et al. 2015, figures 5 to 7 and 10, by the letters that torchvision gives them. */
const blockA =
  (inC: number, pooled: number): Blocks =>
  (d) =>
    beside(
      convolution(d.in("branch1x1"), inC, 64, ONE),
      chain(
        convolution(d.in("branch5x5_1"), inC, 48, ONE),
        convolution(d.in("branch5x5_2"), 48, 64, { kernel: 5, padding: 2 }),
      ),
      chain(
        convolution(d.in("branch3x3dbl_1"), inC, 64, ONE),
        convolution(d.in("branch3x3dbl_2"), 64, 96, SAME),
        convolution(d.in("branch3x3dbl_3"), 96, 96, SAME),
      ),
      chain(meanPool, convolution(d.in("branch_pool"), inC, pooled, ONE)),
    );

const blockB =
  (inC: number): Blocks =>
  (d) =>
    beside(
      convolution(d.in("branch3x3"), inC, 384, HALF),
      chain(
        convolution(d.in("branch3x3dbl_1"), inC, 64, ONE),
        convolution(d.in("branch3x3dbl_2"), 64, 96, SAME),
        convolution(d.in("branch3x3dbl_3"), 96, 96, HALF),
      ),
      halve,
    );

const blockC =
  (inC: number, mid: number): Blocks =>
  (d) =>
    beside(
      convolution(d.in("branch1x1"), inC, 192, ONE),
      chain(
        convolution(d.in("branch7x7_1"), inC, mid, ONE),
        convolution(d.in("branch7x7_2"), mid, mid, ACROSS),
        convolution(d.in("branch7x7_3"), mid, 192, DOWN),
      ),
      chain(
        convolution(d.in("branch7x7dbl_1"), inC, mid, ONE),
        convolution(d.in("branch7x7dbl_2"), mid, mid, DOWN),
        convolution(d.in("branch7x7dbl_3"), mid, mid, ACROSS),
        convolution(d.in("branch7x7dbl_4"), mid, mid, DOWN),
        convolution(d.in("branch7x7dbl_5"), mid, 192, ACROSS),
      ),
      chain(meanPool, convolution(d.in("branch_pool"), inC, 192, ONE)),
    );

const blockD =
  (inC: number): Blocks =>
  (d) =>
    beside(
      chain(
        convolution(d.in("branch3x3_1"), inC, 192, ONE),
        convolution(d.in("branch3x3_2"), 192, 320, HALF),
      ),
      chain(
        convolution(d.in("branch7x7x3_1"), inC, 192, ONE),
        convolution(d.in("branch7x7x3_2"), 192, 192, ACROSS),
        convolution(d.in("branch7x7x3_3"), 192, 192, DOWN),
        convolution(d.in("branch7x7x3_4"), 192, 192, HALF),
      ),
      halve,
    );

const blockE =
  (inC: number, pool: Layer): Blocks =>
  (d) =>
    beside(
      convolution(d.in("branch1x1"), inC, 320, ONE),
      chain(
        convolution(d.in("branch3x3_1"), inC, 384, ONE),
        beside(
          convolution(d.in("branch3x3_2a"), 384, 384, NARROW),
          convolution(d.in("branch3x3_2b"), 384, 384, TALL),
        ),
      ),
      chain(
        convolution(d.in("branch3x3dbl_1"), inC, 448, ONE),
        convolution(d.in("branch3x3dbl_2"), 448, 384, SAME),
        beside(
          convolution(d.in("branch3x3dbl_3a"), 384, 384, NARROW),
          convolution(d.in("branch3x3dbl_3b"), 384, 384, TALL),
        ),
      ),
      chain(pool, convolution(d.in("branch_pool"), inC, 192, ONE)),
    );

const halve: Layer = (x) => maxPool2d(x, { kernel: 3, stride: 2 });
const maxPool: Layer = (x) => maxPool2d(x, { kernel: 3, stride: 1, padding: 1 });
/** Mean of the 3×3 neighbours that are inside: a product of means along both sides. */
const meanPool: Layer = (x) => alongSides(x, neighbourMeans(x.dim(2)), neighbourMeans(x.dim(3)));

function network(d: Declarations): Layer {
  return chain(
    convolution(d.in("Conv2d_1a_3x3"), 3, 32, HALF),
    convolution(d.in("Conv2d_2a_3x3"), 32, 32, { kernel: 3 }),
    convolution(d.in("Conv2d_2b_3x3"), 32, 64, SAME),
    halve,
    convolution(d.in("Conv2d_3b_1x1"), 64, 80, ONE),
    convolution(d.in("Conv2d_4a_3x3"), 80, 192, { kernel: 3 }),
    halve,
    blockA(192, 32)(d.in("Mixed_5b")),
    blockA(256, 64)(d.in("Mixed_5c")),
    blockA(288, 64)(d.in("Mixed_5d")),
    blockB(288)(d.in("Mixed_6a")),
    blockC(768, 128)(d.in("Mixed_6b")),
    blockC(768, 160)(d.in("Mixed_6c")),
    blockC(768, 160)(d.in("Mixed_6d")),
    blockC(768, 192)(d.in("Mixed_6e")),
    blockD(768)(d.in("Mixed_7a")),
    blockE(1280, meanPool)(d.in("Mixed_7b")),
    // The network of FID has a max here, where the paper has a mean.
    blockE(2048, maxPool)(d.in("Mixed_7c")),
  );
}

/** Features and logits of pictures. */
export class Inception {
  readonly parameters: ParameterSet;
  readonly #trunk: Layer;
  readonly #classify: Layer;

  private constructor(engine: Engine) {
    const d = new Declarations();
    this.#trunk = network(d);
    this.#classify = linearLayer(d.in("fc"), INCEPTION_FEATURES, INCEPTION_CLASSES);
    this.parameters = new ParameterSet(engine, d.list, { trainable: false });
  }

  /** Reads weights under torchvision's names with 1008 classes; batch norms are folded. Throws CheckpointError. */
  static async load(engine: Engine, source: WeightSource, what: string): Promise<Inception> {
    const inception = new Inception(engine);
    try {
      await loadWeights(inception.parameters, folded(source, what), "", what);
      return inception;
    } catch (error) {
      inception.dispose();
      throw error;
    }
  }

  /**
   * x f32[n, 1 or 3, h, w] in [-1, 1], brought to `side` (299, as FID does) bilinearly -> features f32[n, 2048], the last stage's
   * means, and logits f32[n, 1008]. Heusel et al. 2017; Szegedy et al. 2015.
   */
  forward(x: Tensor, side = SIDE): { features: Tensor; logits: Tensor } {
    return x.engine.scope(() => {
      const coloured = x.dim(1) === 1 ? concat([x, x, x], 1) : x;
      const scaled = alongSides(coloured, bilinear(x.dim(2), side), bilinear(x.dim(3), side));
      const features = mean(this.#trunk(scaled), { axes: [2, 3] });
      return { features, logits: this.#classify(features) };
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

/** The convolutions with their batch norms folded in: w γ/√(v + ε), β − m γ/√(v + ε); the auxiliary head is left out. */
function folded(source: WeightSource, what: string): WeightSource {
  const present = new Set(source.names);
  const norm = async (name: string, part: string) => source.read(`${name}.bn.${part}`);
  const gains = async (name: string) => {
    const [gamma, variance] = [await norm(name, "weight"), await norm(name, "running_var")];
    return gamma.map((v, i) => v / Math.sqrt((variance[i] ?? 0) + BATCH_NORM_EPS));
  };
  const places = new Map<string, { shape: readonly number[]; read(): Promise<Float32Array<ArrayBuffer>> }>();
  for (const name of ["fc.weight", "fc.bias"])
    if (present.has(name)) places.set(name, { shape: source.shape(name), read: () => source.read(name) });
  for (const full of source.names.filter((n) => n.endsWith(".conv.weight") && !n.startsWith("AuxLogits"))) {
    const name = full.slice(0, -".conv.weight".length);
    const shape = source.shape(full);
    for (const part of ["weight", "bias", "running_mean", "running_var"]) {
      const bn = `${name}.bn.${part}`;
      if (!present.has(bn) || source.shape(bn).join() !== String(shape[0]))
        throw new CheckpointError(
          `${what}: ${bn} is missing or not [${shape[0]}]; expected the weights of Inception-v3`,
        );
    }
    places.set(`${name}.weight`, {
      shape,
      read: async () => {
        const [w, gain] = [await source.read(full), await gains(name)];
        const each = w.length / gain.length;
        return w.map((v, i) => v * gain[Math.floor(i / each)]!);
      },
    });
    places.set(`${name}.bias`, {
      shape: shape.slice(0, 1),
      read: async () => {
        const [gain, beta, centre] = [
          await gains(name),
          await norm(name, "bias"),
          await norm(name, "running_mean"),
        ];
        return beta.map((v, i) => v - centre[i]! * gain[i]!);
      },
    });
  }
  return {
    names: [...places.keys()],
    shape: (name) => places.get(name)?.shape ?? [],
    read: (name) =>
      places.get(name)?.read() ?? Promise.reject(new CheckpointError(`${what}: no tensor ${name}`)),
  };
}
