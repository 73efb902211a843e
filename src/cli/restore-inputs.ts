// What `deft restore` is given and what it will write: checked before anything is loaded that needs a GPU.
import path from "node:path";
import type { Config } from "../deft/config/schema.ts";
import { UserError } from "../deft/errors.ts";
import type { MaskSource } from "../deft/masks.ts";
import { layoutOf, type Layout, type TaskFiles } from "../deft/task.ts";
import { canTile, planTiles, tileStride, type TilePlan } from "../deft/tiles.ts";
import { readWhole, type Picture } from "../io/images.ts";
import { ownClass } from "./classes.ts";
import { checkFile, checkFolder } from "./output-place.ts";
import { sizeOfPrior } from "./prior-file.ts";
import { maskLine } from "./task-files.ts";
import { checkMask, onMask, openRestoreMasks, tileMasks } from "./restore-masks.ts";

export interface RestoreRequest {
  readonly files: readonly string[];
  /** Folder of the trained run. */
  readonly run: string;
  readonly out: string;
  readonly samples: number;
  /** The run's, with what the user named for the restoring. */
  readonly config: Config;
}

export interface RestoreInput {
  readonly file: string;
  readonly plan: TilePlan;
  /** Its class, for a prior that takes some. */
  readonly label: number | null;
  /** Number of its first tile among those of all inputs. */
  readonly first: number;
  /** The path of an output, its suffix put before `.png`. */
  readonly output: (suffix: Suffix) => string;
  /** Reads the measurement. */
  readonly read: () => Promise<Picture>;
}

export interface RestoreInputs {
  readonly inputs: readonly RestoreInput[];
  readonly layout: Layout;
  /** The mask of tile i of all; null where the task takes none. */
  readonly masks: MaskSource | null;
  /** What the masks keep, for people; null where the task takes none. */
  readonly maskLine: string | null;
}

/** One sample, the mean of all, the map of their standard deviation. */
export type Suffix = "" | "_mean" | "_std";

/** Throws a UserError that names the file for one that cannot be read or restored, or whose output is in the way. */
export async function planInputs(request: RestoreRequest, files: TaskFiles): Promise<RestoreInputs> {
  const { config } = request;
  const { deg } = config.algo;
  const { side, channels } = sizeOfPrior(config);
  const layout = layoutOf(config, [channels, side, side], files);
  if (!layout)
    throw new UserError(
      `restore: what ${deg} measures is no picture; got --checkpoint ${request.run}; expected a run of a task whose measurements are pictures, such as sr4`,
    );
  const masks = await openRestoreMasks(config, request.files);
  const outputs = planOutputs(request);
  const inputs: RestoreInput[] = [];
  let first = 0;
  for (const [k, file] of request.files.entries()) {
    const mask = masks?.[k] ?? null;
    const read = async () =>
      onMask(asMeasured(await readWhole(file), file, layout.channels, deg), mask, config, k);
    const plan = planOf(await read(), file, { deg, side, layout });
    if (mask && layout.mask) checkMask(layout.mask, mask, plan, file);
    const label = ownClass(config, k);
    inputs.push({ file, plan, first, label, output: outputs[k] as RestoreInput["output"], read });
    first += plan.count;
  }
  return {
    ...{ inputs, layout },
    masks: masks && layout.mask && tileMasks(config, layout.mask, masks, inputs),
    maskLine: masks && maskLine((masks[0] as Picture).data, new Set(masks).size),
  };
}

/** The measurement with as many channels as the task's. */
function asMeasured(picture: Picture, file: string, channels: number, deg: string): Picture {
  if (picture.channels === channels) return picture;
  if (picture.channels === 3)
    throw new UserError(
      `${file}: a picture in colour; expected a grey one, as ${deg} measures them with this prior`,
    );
  const { data } = picture;
  const wide = new Float32Array(3 * data.length);
  for (let c = 0; c < 3; c++) wide.set(data, c * data.length);
  return { ...picture, data: wide, channels: 3 };
}

interface Geometry {
  readonly deg: string;
  readonly side: number;
  readonly layout: Layout;
}

function planOf({ height, width }: Picture, file: string, o: Geometry): TilePlan {
  const { footprint } = o.layout;
  const { scale, lost } = footprint;
  const [rows, columns] = [scale * height + lost[0], scale * width + lost[1]];
  if (canTile(rows, o.side, footprint) && canTile(columns, o.side, footprint))
    return planTiles(rows, columns, o.side, footprint);
  throw new UserError(`${file}: a picture of ${width}x${height}; expected ${fitting(o)}`);
}

/** For messages: the sizes that can be restored. */
function fitting({ deg, side, layout: { footprint } }: Geometry): string {
  const { scale, block, lost, halo } = footprint;
  const [height = 0, width = 0] = lost.map((v) => (side - v) / scale);
  const one = `${width}x${height}`;
  if (tileStride(side, footprint) === null)
    return `${one}: ${halo === Infinity ? `${deg} mixes the whole picture` : `${deg} reaches too far for tiles of ${side}`}, so a larger one is not restored in parts; bring it to that size, or train with a prior of that side`;
  const step = Math.max(1, block / scale);
  const more = (v: number) => `${v}, ${v + step}, ${v + 2 * step}, …`;
  if (step > 1)
    return height === width
      ? `sides of ${more(width)}`
      : `a width of ${more(width)} and a height of ${more(height)}`;
  return `${one} or more, what ${deg} makes of the prior's ${side}x${side}`;
}

/** A function for the paths of each file's outputs, once none of them is in the way of another, of an input or of what is there. */
function planOutputs({ files, out, samples, config }: RestoreRequest): RestoreInput["output"][] {
  checkFolder("--out", out, "another folder");
  const suffixes: Suffix[] = samples > 1 ? ["", "_mean", "_std"] : [""];
  const inputs = new Set(files.map((file) => path.resolve(file)));
  const taken = new Map<string, string>();
  return files.map((file) => {
    const output = (suffix: Suffix) => path.join(out, `${path.parse(file).name}${suffix}.png`);
    for (const target of suffixes.map(output)) {
      const key = path.resolve(target);
      const other = taken.get(key);
      if (other !== undefined)
        throw new UserError(`${file}: ${other} is restored to ${target} too; restore them into two folders`);
      if (inputs.has(key))
        throw new UserError(`--out: ${target} is one of the pictures to restore; pass another folder`);
      checkFile("--out", target, config.exp.overwrite, "another folder");
      taken.set(key, file);
    }
    return output;
  });
}
