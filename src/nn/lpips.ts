// LPIPS: how different two pictures look, from the features of a trained classifier.
import {
  add,
  affine,
  conv2d,
  div,
  expand,
  l2norm,
  mean,
  mul,
  ShapeError,
  square,
  sub,
  type Engine,
  type Tensor,
} from "../tensor/index.ts";
import { CheckpointError } from "./errors.ts";
import { Declarations, ParameterSet } from "./parameter.ts";
import { loadWeights, type WeightSource } from "./state.ts";
import { smallestSide, trunk, trunkChannels, trunkNames, type TrunkName } from "./trunks.ts";

/** Mean and standard deviation of the training pictures, on [-1, 1]. */
const SHIFT = [-0.03, -0.088, -0.188];
const SCALE = [0.458, 0.448, 0.45];
/** Keeps the direction of features that are all 0 finite. */
const EPS = 1e-10;

/** A weight file and the name to give it in messages. */
export interface LpipsFile {
  readonly file: string;
  readonly source: WeightSource;
}

/**
 * d(x, y) = Σ_l mean over pixels of Σ_c w_lc (f̂_lc(x) − f̂_lc(y))², f̂ the features of stage l of the trunk, each pixel's divided
 * by their norm. 0 for equal pictures. Zhang et al. 2018, eq. 1.
 */
export class Lpips {
  readonly trunk: TrunkName;
  readonly parameters: ParameterSet;
  readonly #stages: (x: Tensor) => Tensor[];
  readonly #weights: (stage: number) => Tensor;

  private constructor(engine: Engine, name: TrunkName) {
    const d = new Declarations();
    this.trunk = name;
    this.#stages = trunk(d, name);
    const heads = trunkChannels(name).map((c, k) => d.in(`lin${k}.model.1`).add("weight", [1, c, 1, 1], 0));
    this.#weights = (stage) => (heads[stage] as (typeof heads)[number]).value;
    this.parameters = new ParameterSet(engine, d.list, { trainable: false });
  }

  /**
   * The network that the files hold: `heads` is a file of linear heads of the LPIPS release (`lin0.model.1.weight`, …) and `trunk`
   * torchvision's of the same network, or `heads` is complete. Which network it is follows from the shapes. Throws CheckpointError.
   */
  static async load(engine: Engine, heads: LpipsFile, trunkFile: LpipsFile | null): Promise<Lpips> {
    const source = joined(heads, trunkFile);
    const name = trunkNames.find(
      (candidate) =>
        trunkChannels(candidate).every((c, k) => headChannels(source, k) === c) &&
        headChannels(source, trunkChannels(candidate).length) === null,
    );
    if (name === undefined)
      throw new CheckpointError(
        `${heads.file}: not the linear heads of LPIPS; expected lin0.model.1.weight and so on for AlexNet, VGG16 or SqueezeNet`,
      );
    if (!source.names.some((n) => n.startsWith("features.")))
      throw new CheckpointError(
        `${heads.file}: holds the linear heads of LPIPS only; expected the trunk (${name}) too; pass torchvision's weights as metrics.lpips_trunk_path=FILE`,
      );
    const lpips = new Lpips(engine, name);
    try {
      await loadWeights(
        lpips.parameters,
        source,
        "",
        trunkFile ? `${heads.file} with ${trunkFile.file}` : heads.file,
      );
    } catch (error) {
      lpips.dispose();
      throw error;
    }
    return lpips;
  }

  /** d of each pair. x, y: f32[n, 1 or 3, h, w] in [-1, 1]; grey ones count as three equal channels. Result f32[n]. Throws ShapeError for small ones. */
  distance(x: Tensor, y: Tensor): Tensor {
    const side = smallestSide[this.trunk];
    if (x.dim(2) < side || x.dim(3) < side)
      throw new ShapeError(
        `lpips: pictures of ${x.dim(2)} x ${x.dim(3)}; ${this.trunk} takes sides from ${side} on; take the heads of another network`,
      );
    return x.engine.scope(() => {
      const [a, b] = [this.#features(x), this.#features(y)];
      const terms = a.map((f, k) =>
        mean(conv2d(square(sub(f, b[k] as Tensor)), this.#weights(k), null), { axes: [1, 2, 3] }),
      );
      return terms.reduce((sum, term) => add(sum, term));
    });
  }

  #features(x: Tensor): Tensor[] {
    return x.engine.scope(() => {
      const coloured = x.dim(1) === 1 ? expand(x, [x.dim(0), 3, x.dim(2), x.dim(3)]) : x;
      const per = (values: readonly number[]) => x.engine.tensor(values, [1, 3, 1, 1]);
      const scaled = mul(sub(coloured, per(SHIFT)), per(SCALE.map((v) => 1 / v)));
      return this.#stages(scaled).map((f) => div(f, affine(l2norm(f, { axes: [1], keepdim: true }), 1, EPS)));
    });
  }

  dispose(): void {
    this.parameters.dispose();
  }
}

const headName = (k: number): string => `lin${k}.model.1.weight`;

function headChannels({ names, shape }: WeightSource, k: number): number | null {
  return names.includes(headName(k)) ? (shape(headName(k))[1] ?? null) : null;
}

/** Both files as one, under the names of the network; what belongs to the classifier or stands twice is left out. */
function joined(heads: LpipsFile, trunkFile: LpipsFile | null): WeightSource {
  const places = new Map<string, { source: WeightSource; name: string }>();
  for (const { source } of trunkFile ? [heads, trunkFile] : [heads])
    for (const name of source.names) {
      // A complete LPIPS module calls its trunk net.sliceK.
      const known = name.replace(/^net\.slice\d+\./, "features.");
      if (/^(features\.|lin\d+\.)/.test(known)) places.set(known, { source, name });
    }
  const at = (name: string) => {
    const place = places.get(name);
    if (!place) throw new CheckpointError(`${heads.file}: no tensor ${name}`);
    return place;
  };
  return {
    names: [...places.keys()],
    shape: (name) => at(name).source.shape(at(name).name),
    read: (name) => at(name).source.read(at(name).name),
  };
}
