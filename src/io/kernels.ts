import { readFile } from "node:fs/promises";
import { UserError } from "../deft/errors.ts";
import type { BlurKernel } from "../deft/operators/blur.ts";
import { decode } from "./images.ts";
import { matrixOf, parseNpy } from "./npy.ts";

const OPTION = "likelihood.forward_op.kernel_filename";

/**
 * A blur kernel: an `.npy` of two axes as it is, whose values must sum to one, or a picture, whose grey levels are divided by their
 * sum. Throws UserError.
 */
export async function readKernel(file: string): Promise<BlurKernel> {
  if (!file.toLowerCase().endsWith(".npy")) return pictureKernel(file);
  try {
    return matrixOf(parseNpy(await readFile(file)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UserError(`${OPTION}: ${file}: not a kernel that can be read; got ${reason}`, { cause: error });
  }
}

async function pictureKernel(file: string): Promise<BlurKernel> {
  const { width, height, channels, data } = await decode(file);
  const grey = Float32Array.from({ length: width * height }, (_, i) => {
    const at = i * channels;
    return (data[at]! + data[at + 1]! + data[at + 2]!) / 3;
  });
  const sum = grey.reduce((a, b) => a + b, 0);
  if (sum === 0)
    throw new UserError(`${OPTION}: ${file}: the picture is black; expected a bright kernel on black`);
  return { values: grey.map((v) => v / sum), height, width };
}
