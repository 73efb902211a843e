// The masks of the pictures that `deft restore` in-paints: one for all, or one a picture.
import path from "node:path";
import { streamOf, streams } from "../deft/batches.ts";
import { operatorOf } from "../deft/config/degradation.ts";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import type { Footprint } from "../deft/footprint.ts";
import type { MaskSource } from "../deft/masks.ts";
import { cut, tileOrigin, type TilePlan } from "../deft/tiles.ts";
import type { Picture } from "../io/images.ts";
import { readMasks, type StoredMask, type StoredMasks } from "../io/masks.ts";
import { Philox } from "../tensor/index.ts";
import { sizeOfPrior } from "./prior-file.ts";
import type { RestoreInput } from "./restore-inputs.ts";

const MASK = "likelihood.forward_op.mask_filename";

/**
 * The mask of each file, 1 = kept: the same picture for all; of a folder the picture of the file's name; of an `.npz` mask k for
 * file k, or its only one. Null where the task takes none. Throws UserError.
 */
export async function openRestoreMasks(
  { algo, likelihood }: Config,
  files: readonly string[],
): Promise<readonly Picture[] | null> {
  const { mask_filename: source, mask_key: key } = likelihood.forward_op;
  if (!operatorOf(algo.deg).isMasked) {
    if (source !== null)
      throw new UserError(`${MASK}: not used with algo.deg=${algo.deg}; got ${source}; leave it out`);
    return null;
  }
  if (source === null)
    throw new UserError(
      `${MASK}: not given; expected a picture of the size of those to restore, white where their pixels are kept, a folder of such pictures by the same names, or an .npz`,
    );
  const stems = new Set(files.map(stemOf));
  const stored = await readMasks(source, key, (name) => stems.has(stemOf(name)));
  if (stored.names) {
    const { names } = stored;
    return files.map((file) => toPicture(stored.at(namesake(file, names, source))));
  }
  if (stored.count > 1 && stored.count < files.length)
    throw new UserError(
      `${MASK}: ${source} holds ${stored.count} masks; expected one, or one for each of the ${files.length} pictures`,
    );
  return byPlace(stored, files.length);
}

/** Mask k for picture k; a single one is read once. */
function byPlace(stored: StoredMasks, count: number): readonly Picture[] {
  if (stored.count > 1) return Array.from({ length: count }, (_, k) => toPicture(stored.at(k)));
  const only = toPicture(stored.at(0));
  return Array.from({ length: count }, () => only);
}

const stemOf = (file: string): string => path.parse(file).name;

/** Which of the masks is that of the file. */
function namesake(file: string, names: readonly string[], folder: string): number {
  const found = names.flatMap((name, i) => (stemOf(name) === stemOf(file) ? [i] : []));
  const [first, second] = found;
  if (first === undefined)
    throw new UserError(`${MASK}: ${folder} holds no mask for ${file}; expected ${stemOf(file)}.png in it`);
  if (second !== undefined)
    throw new UserError(
      `${MASK}: ${folder} holds ${names[first]} and ${names[second]} for ${file}; expected one of them`,
    );
  return first;
}

const toPicture = ({ width, height, kept }: StoredMask): Picture => ({
  data: Float32Array.from({ length: width * height }, (_, pixel) => Number(kept(pixel))),
  channels: 1,
  height,
  width,
});

/**
 * The measurement with noise alone where the mask, if of its size, keeps nothing, as the h-transform has seen it: y = m x + σ n.
 * `index`: the number of the picture.
 */
export function onMask(
  picture: Picture,
  mask: Picture | null,
  { algo, exp }: Config,
  index: number,
): Picture {
  if (mask?.height !== picture.height || mask.width !== picture.width) return picture;
  const random = new Philox(exp.seed, streamOf(streams.measurement, 0), index);
  const sigma = algo.sigma_y ?? 0;
  const missing = () => (sigma > 0 ? sigma * random.normal() : 0);
  const { data } = mask;
  return { ...picture, data: picture.data.map((v, i) => (data[i % data.length]! > 0 ? v : missing())) };
}

/** Throws a UserError for a mask that is not of its picture's size. */
export function checkMask({ scale, lost }: Footprint, mask: Picture, plan: TilePlan, file: string): void {
  const [width, height] = [(plan.width - lost[1]) / scale, (plan.height - lost[0]) / scale];
  if (mask.width !== width || mask.height !== height)
    throw new UserError(
      `${MASK}: a mask of ${mask.width}x${mask.height}; expected ${width}x${height}, that of ${file}`,
    );
}

/** The mask of tile i of all inputs, `masks` being those of the inputs. */
export function tileMasks(
  config: Config,
  { scale, lost }: Footprint,
  masks: readonly Picture[],
  inputs: readonly RestoreInput[],
): MaskSource {
  const { side } = sizeOfPrior(config);
  const [height, width] = [(side - lost[0]) / scale, (side - lost[1]) / scale];
  return {
    name: path.basename(config.likelihood.forward_op.mask_filename ?? ""),
    ...{ height, width },
    mask(index) {
      const k = inputs.findLastIndex((input) => input.first <= index);
      const { plan, first } = inputs[k] as RestoreInput;
      const [top, left] = tileOrigin(plan, index - first);
      const box = { top: top / scale, left: left / scale, height, width };
      return cut(masks[k] as Picture, box);
    },
  };
}
