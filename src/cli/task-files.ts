// The task of a run with what it needs from files: masks, a blur kernel, weights of a degradation's network.
import type { Config } from "../deft/config/schema.ts";
import { RANDOM_WEIGHTS } from "../deft/config/forward-op.ts";
import { randomKernelWizard, type KernelWizardWeights } from "../deft/kernel-wizard.ts";
import { generatedMasks, makeTask, maskSizeOf, type Task, type TaskFiles } from "../deft/task.ts";
import { readKernel } from "../io/kernels.ts";
import { openMasks } from "../io/masks.ts";
import { openWeights } from "../io/weights.ts";
import { formatShare } from "./format.ts";

/** The task of the configuration for images of this size. Throws a UserError that names the option and its file. */
export async function openTask(config: Config, side: number, channels: number): Promise<Task> {
  const o = config.likelihood.forward_op;
  const files = await readTaskFiles(config);
  const read = async () => {
    if (o.mask_filename === null) return null;
    return openMasks(o.mask_filename, { ...maskSizeOf(config, side, channels, files), key: o.mask_key });
  };
  const masks = generatedMasks(config, side, files) ?? (await read());
  return makeTask(config, side, channels, masks, files);
}

/** The line that says what masks from a file keep: the first of `count`, 1 = kept. */
export function maskLine(first: Float32Array, count: number): string {
  const kept = formatShare(first.reduce((sum, v) => sum + v, 0) / first.length);
  return count === 1
    ? `mask: keeps ${kept} of the pixels`
    : `masks: ${count}, the first keeps ${kept} of the pixels`;
}

/** What the task's operators are made of, other than masks. Throws a UserError that names the file. */
export async function readTaskFiles(config: Config): Promise<TaskFiles> {
  const { kernel_filename: kernel, weights } = config.likelihood.forward_op;
  return {
    kernel: kernel === null ? null : await readKernel(kernel),
    kernelWizard: weights === null ? null : await readGenerator(weights),
  };
}

/** Parts of the kernel-wizard network that make a blurred picture; its file holds others beside them. */
const GENERATOR = ["feature_extractor.", "adapter.", "recon_trunk."];

async function readGenerator(file: string): Promise<KernelWizardWeights> {
  if (file === RANDOM_WEIGHTS) return randomKernelWizard();
  const source = await openWeights(file, { option: "likelihood.forward_op.weights" });
  try {
    const names = source.names.filter((name) => GENERATOR.some((part) => name.startsWith(part)));
    const weights = new Map<string, { shape: readonly number[]; data: Float32Array<ArrayBuffer> }>();
    for (const name of names)
      weights.set(name, { shape: source.info(name).shape, data: await source.readF32(name) });
    return weights;
  } finally {
    await source.close();
  }
}
