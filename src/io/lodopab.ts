import { readdir } from "node:fs/promises";
import path from "node:path";
import type * as Library from "h5wasm/node";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { ctSlice } from "./ct-slice.ts";
import { PictureError } from "./images.ts";
import { skippingDamaged } from "./skip-damaged.ts";

type Hdf5 = typeof Library;
export type LodopabSplit = "train" | "validation" | "test";

const MAX_SIDE = 4096;
/** LoDoPaB has 128 a file. */
const MAX_IMAGES = 1_000_000;
const MAX_CHUNK = 2 ** 26;

/** Names of the ground-truth files of each split under `root`, in order. Throws UserError where there are none. */
export async function listLodopab(root: string): Promise<Record<LodopabSplit, string[]>> {
  const names = await readdir(root).catch((error: unknown) => {
    const { code = "error" } = error as NodeJS.ErrnoException;
    throw new UserError(`dataset.root: cannot be listed (${code}); got ${root}; pass LoDoPaB-CT's folder`, {
      cause: error,
    });
  });
  const of = (split: LodopabSplit): string[] =>
    names.filter((name) => new RegExp(`^ground_truth_${split}_\\d+\\.(hdf5|h5)$`).test(name)).sort();
  const found = { train: of("train"), validation: of("validation"), test: of("test") };
  if (Object.values(found).every((files) => files.length === 0))
    throw new UserError(
      `dataset.root: no ground_truth_{train,validation,test}_NNN.hdf5 in ${root}; pass LoDoPaB-CT's folder, unpacked`,
    );
  return found;
}

/**
 * LoDoPaB-CT (Leuschner et al. 2021): the slices of `files` in order, data set "data" [n, h, w] of each, floats in [0, 1], as
 * one channel in [-1, 1] of `side` (ctSlice). Throws UserError that names a file which is none.
 */
export async function openLodopab(
  root: string,
  files: readonly string[],
  { side, warn }: { side: number; warn?: (message: string) => void },
): Promise<ImageDataset> {
  const h5 = await loadHdf5();
  const parts: { file: string; first: number; shape: Shape }[] = [];
  let length = 0;
  for (const file of files.map((name) => path.join(root, name))) {
    const shape = withData(h5, file, (_, found) => found);
    parts.push({ file, first: length, shape });
    length += shape[0];
  }
  const read = async (index: number): Promise<Float32Array> => {
    const { file, first, shape } = parts.findLast((part) => part.first <= index)!;
    const [, height, width] = shape;
    const at = index - first;
    const what = `${file}: slice ${at}`;
    const values = withData(h5, file, (data) => data.slice([[at, at + 1], [], []]), PictureError);
    if (
      !(values instanceof Float32Array || values instanceof Float64Array) ||
      values.length !== width * height
    )
      throw new PictureError(`${what}: cannot be read`);
    return ctSlice(Float32Array.from(values), { width, height, side, what });
  };
  return skippingDamaged({
    name: "lodopab",
    root,
    length,
    channels: 1,
    side,
    read,
    ...(warn ? { warn } : {}),
  });
}

type Shape = readonly [n: number, h: number, w: number];
type Data = InstanceType<Hdf5["Dataset"]>;

async function loadHdf5(): Promise<Hdf5> {
  try {
    const h5 = await import("h5wasm/node");
    (await h5.ready).activate_throwing_error_handler(); // else it prints its own lines
    return h5;
  } catch (error) {
    const reason = String(error).split("\n")[0];
    throw new UserError(`h5wasm: needed for HDF5 files, does not load; got ${reason}; run npm ci`, {
      cause: error,
    });
  }
}

/** Opens a file for one use of its data set "data", of checked type and shape. Throws `Failure`. */
function withData<T>(h5: Hdf5, name: string, use: (data: Data, shape: Shape) => T, Failure = UserError): T {
  let file;
  try {
    file = new h5.File(name, "r");
    const data = file.get("data");
    if (!(data instanceof h5.Dataset)) throw new Error('it has no data set "data"');
    const { shape } = data;
    const chunk = (data.metadata.chunks ?? [0]).reduce((a, b) => a * b, 1);
    if (
      shape?.length !== 3 ||
      !shape.every((size) => size >= 1) ||
      Math.max(shape[1]!, shape[2]!) > MAX_SIDE ||
      shape[0]! > MAX_IMAGES
    )
      throw new Error(`"data" has shape [${shape?.join(",") ?? ""}]; expected [n,h,w]`);
    if (!["<f", "<d", ">f", ">d"].includes(String(data.dtype)) || chunk > MAX_CHUNK)
      throw new Error(`"data" has type ${String(data.dtype)}, chunks of ${chunk}; expected floats`);
    return use(data, [shape[0]!, shape[1]!, shape[2]!]);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error)).split("\n")[0];
    throw new Failure(`dataset.root: ${name} is no LoDoPaB file; got ${reason}`, { cause: error });
  } finally {
    file?.close();
  }
}
