import { readdir, readFile, stat } from "node:fs/promises";
import path from "node:path";
import type { ImageDataset } from "../deft/dataset.ts";
import { UserError } from "../deft/errors.ts";
import { ctSlice } from "./ct-slice.ts";
import { PictureError } from "./images.ts";
import { matrixOf, parseNpy } from "./npy.ts";
import { skippingDamaged } from "./skip-damaged.ts";

const MAX_FILE_BYTES = 2 ** 28;

/**
 * A folder of `.npy` files, searched with its sub-folders and sorted by path, one slice each, as for the AAPM low-dose CT
 * challenge: [h, w] (or with an axis of 1), f4, f8, i2, u2 or i4, in [0, 1] or Hounsfield units (ctSlice), as one channel in
 * [-1, 1] of `side`. Damaged files are named through `warn` and skipped. Throws UserError.
 */
export async function openNpyFolder(
  root: string,
  { side, warn }: { side: number; warn?: (message: string) => void },
): Promise<ImageDataset> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    const { code = "error" } = error as NodeJS.ErrnoException;
    throw new UserError(
      `dataset.root: cannot be listed (${code}); got ${root}; pass a folder of .npy files`,
      {
        cause: error,
      },
    );
  });
  const files = entries
    .filter((entry) => !entry.isDirectory() && /\.npy$/i.test(entry.name) && !entry.name.startsWith("."))
    .map((entry) => path.join(entry.parentPath, entry.name))
    .sort();
  if (files.length === 0)
    throw new UserError(`dataset.root: no .npy files in ${root}; expected one 2-D array a slice`);
  return skippingDamaged({
    name: path.basename(path.resolve(root)),
    root,
    length: files.length,
    channels: 1,
    side,
    read: (index) => readSlice(files[index]!, side),
    ...(warn ? { warn } : {}),
  });
}

async function readSlice(file: string, side: number): Promise<Float32Array> {
  let slice: ReturnType<typeof matrixOf>;
  try {
    const { size } = await stat(file);
    if (size > MAX_FILE_BYTES) throw new Error(`${size} bytes; expected at most ${MAX_FILE_BYTES}`);
    slice = matrixOf(parseNpy(await readFile(file)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new PictureError(`${file}: not a slice that can be read; got ${reason}`, { cause: error });
  }
  return ctSlice(slice.values, { ...slice, side, what: file });
}
