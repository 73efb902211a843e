import type { Config } from "../deft/config/schema.ts";
import { checkChoices, Engine, openDevice } from "../tensor/index.ts";
import { adapterChoice, closeGpu, openGpu, type OpenedGpu } from "./dawn.ts";
import type { TuningTable } from "../io/tuning.ts";
import { waitQuietly } from "./quiet-wait.ts";
import { resumedTuning, tuningOf } from "./tuning.ts";

export interface OpenedEngine {
  readonly engine: Engine;
  readonly gpu: OpenedGpu;
  /** The kernels of its own that the adapter has. */
  readonly tuning: TuningTable;
  /** Gives the device back and lets the process end. */
  close(): void;
}

/**
 * Opens the adapter that the configuration (or DEFT_ADAPTER) asks for and prints its line, the first of a run, and that of its
 * tuning table, which is the one of the run in the folder `resumed`, if it goes on.
 */
export async function openEngine(
  { adapter, tensor_cores: matrices }: Pick<Config, "adapter" | "tensor_cores">,
  resumed: string | null = null,
): Promise<OpenedEngine> {
  const gpu = await openGpu(adapterChoice(adapter ?? undefined), matrices);
  console.log(gpu.line);
  const tuning = await (resumed === null ? tuningOf(gpu.identity) : resumedTuning(gpu.identity, resumed));
  if (tuning.variants.size > 0)
    console.log(`kernels: tuned for ${tuning.adapter}, ${tuning.variants.size} choices of ${tuning.source}`);
  const device = await openDevice(gpu.adapter, {
    kernels: process.env["DEFT_KERNEL"] ?? "",
    tuning,
    waiting: waitQuietly,
    matrices,
  });
  checkChoices(device);
  if (matrices && device.matrix === null)
    console.log(
      `tensor_cores: ${gpu.name} offers no subgroup matrices of float16 with subgroups of one size, 16 to 64 lanes; none are used`,
    );
  return {
    engine: new Engine(device),
    gpu,
    tuning,
    close() {
      device.destroy();
      closeGpu();
    },
  };
}
