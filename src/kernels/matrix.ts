// Subgroup matrices (tensor cores): the sizes that an adapter has, as constants of the shaders that include lib/matrix.wgsl.
import type { Device } from "../gpu/device.ts";
import { KernelError } from "../gpu/errors.ts";
import type { Values } from "./shader.ts";

const constants = (SG: number, MM: number, MN: number, MK: number): Values => ({ SG, MM, MN, MK });

/** Those of some adapters: NVIDIA and AMD, older NVIDIA, Intel. */
export const matrixValues: readonly Values[] = [
  constants(32, 16, 16, 16),
  constants(32, 16, 8, 16),
  constants(32, 16, 8, 8),
  constants(32, 8, 16, 16),
];

/** Those of this device. */
export function matrixSizes({ matrix, info }: Device): Values {
  if (!matrix) throw new KernelError("subgroup matrices: this device has none");
  return constants(info.subgroupMaxSize ?? 32, matrix.M, matrix.N, matrix.K);
}
