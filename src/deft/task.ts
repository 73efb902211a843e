// The task of a run: the operator of each batch, its masks, its noise.
import type { Engine } from "../tensor/index.ts";
import { guidanceGain, type ConditionOptions } from "./condition.ts";
import { effectiveParts, maskSize, operatorOf, partShapes, type Degradation } from "./config/degradation.ts";
import type { Config } from "./config/schema.ts";
import type { DegradationKind, Prepared, Resources } from "./degradation.ts";
import { joined, type Footprint } from "./footprint.ts";
import { boxMasks, freeFormMasks, type MaskSource } from "./masks.ts";
import { scheduleOf } from "./networks.ts";
import type { ImageSize, Operator } from "./operator.ts";
import { compose, imageSizeOf } from "./operators/compose.ts";

export interface Task {
  readonly name: string;
  /** Heading of its report, and what becomes of a picture: "Each picture was …". */
  readonly title: string;
  readonly effect: string;
  /** Factor of the reduction where the measurement is a smaller picture, for the bicubic row; null elsewhere. */
  readonly scale: number | null;
  readonly condition: ConditionOptions;
  /** What the h-transform sees as if the measurement had noise of this σ. */
  conditionFor(sigmaY: number): ConditionOptions;
  /** Which pixels are kept; null where the task takes no masks. */
  readonly masks: MaskSource | null;
  /** The operator of a batch; `indices` says which mask each picture gets. */
  operator(engine: Engine, indices: readonly number[]): Operator;
  /** Frees what operators share from batch to batch (weights of networks). */
  release(): void;
}

/** Masks of the configuration that need no file; null when it names one (the command line reads it). */
export function generatedMasks(config: Config, imageSide: number, files: TaskFiles = {}): MaskSource | null {
  const { mask, min_mask_size: minMaskSize, max_mask_size: maxMaskSize } = config.likelihood.forward_op;
  const { seed } = config.exp;
  if (mask === "file") return null;
  const size = maskSizeOf(config, imageSide, config.model.in_channels, files);
  return mask === "box"
    ? boxMasks({ ...size, seed, minMaskSize, maxMaskSize })
    : freeFormMasks({ ...size, seed });
}

/** Height and width of the configuration's masks. */
export const maskSizeOf = (config: Config, side: number, channels: number, files: TaskFiles = {}) =>
  maskSize(config.algo.deg, [channels, side, side], resourcesOf(config, null, files));

/** What operators need beside the configuration, read from files; null: not given. */
export type TaskFiles = Partial<Pick<Resources, "kernel" | "kernelWizard">>;

/** The task that `algo.deg` names, for images of `channels`×`side`×`side`. Throws UserError where it does not fit them. */
export function makeTask(
  config: Config,
  side: number,
  channels: number,
  masks: MaskSource | null,
  files: TaskFiles = {},
): Task {
  const { deg, sigma_y: sigmaY, use_x0hat: useX0hat, use_loggrad: useLoggrad } = config.algo;
  const { scale_guidance: scaled } = config.algo;
  const image: ImageSize = [channels, side, side];
  const parts = effectiveParts(deg);
  const resources = resourcesOf(config, masks, files);
  const prepared: Prepared[] = [];
  /** Part k for the shape that the parts before it give; the same for every batch. */
  const prepare = (k: number, shape: ImageSize): Prepared => {
    const part = parts[k] as (typeof parts)[number];
    return (prepared[k] ??= part.kind.prepare(shape, part.n, resources));
  };
  prepare(0, image);
  const { convention } = config.likelihood;
  const shapes = partShapes(deg, image, resources);
  // By the pseudo-inverse a step is A†A, of norm 1 or near it.
  const own = convention === "pinv" ? null : convention;
  const gains = parts.map(({ kind, n }, k) =>
    own === null ? 1 : (kind.gain?.(shapes[k] as ImageSize, n, resources, own) ?? 1),
  );
  const invNorm = gains.reduce((product, gain) => product * gain, 1);
  const schedule = scheduleOf(config.diffusion);
  const conditionFor = (sigma: number): ConditionOptions => ({
    ...{ sigmaY: sigma, useX0hat, useLoggrad, convention },
    ...(scaled ? { gain: (t: number) => guidanceGain(schedule.alphaBar(t), sigma, invNorm) } : {}),
  });
  const { scale, isMasked } = operatorOf(deg);
  return {
    name: deg,
    title: described(parts, (kind) => kind.title),
    effect: described(parts, (kind) => kind.effect),
    scale: scale !== null && parts.length === 1 ? scale : null,
    masks: isMasked ? masks : null,
    condition: conditionFor(sigmaY ?? 0),
    conditionFor,
    operator(engine, indices) {
      const operators: Operator[] = [];
      parts.forEach((_, k) => {
        const before = operators.at(-1);
        operators.push(prepare(k, before ? imageSizeOf(before) : image).make(engine, indices));
      });
      return operators.length === 1 ? (operators[0] as Operator) : compose(deg, operators);
    },
    release() {
      for (const { release } of prepared) release?.();
    },
  };
}

/** How a measurement looks, and how it lies on its image. */
export interface Layout {
  readonly channels: number;
  readonly footprint: Footprint;
  /** How the masks lie on the image; null where the task takes none. */
  readonly mask: Footprint | null;
}

/** The layout of the task's measurements of images of this size; null where they are no pictures. */
export function layoutOf(config: Config, image: ImageSize, files: TaskFiles = {}): Layout | null {
  const { deg } = config.algo;
  const resources = resourcesOf(config, null, files);
  const shapes = partShapes(deg, image, resources);
  const footprints: Footprint[] = [];
  let [channels] = image;
  let mask: Footprint | null = null;
  for (const [k, { kind, n }] of effectiveParts(deg).entries()) {
    const shape = shapes[k] as ImageSize;
    if (!kind.footprint) return null;
    if (kind.isMasked) mask ??= joined(footprints);
    footprints.push(kind.footprint(shape, n, resources));
    [channels] = kind.outShape?.(shape, n, resources) ?? shape;
  }
  return { channels, footprint: joined(footprints), mask };
}

const described = (parts: readonly Degradation[], text: (kind: DegradationKind) => string): string =>
  parts.map(({ kind, n }) => text(kind).replaceAll("{k}", String(n))).join(", then ");

function resourcesOf(config: Config, masks: MaskSource | null, files: TaskFiles): Resources {
  const o = config.likelihood.forward_op;
  return {
    masks,
    kernel: files.kernel ?? null,
    kernelWizard: files.kernelWizard ?? null,
    ct: { numAngles: o.num_angles, angleRange: o.angle_range, circle: o.circle },
    phase: { oversample: o.oversample, iterations: o.hio_iterations, beta: o.hio_beta },
    blur: { padding: o.padding },
    blurSeed: o.blur_seed,
  };
}
