import type { Config } from "../deft/config/schema.ts";
import { Engine, openDevice } from "../tensor/index.ts";
import { adapterChoice, closeGpu, openGpu, type OpenedGpu } from "./dawn.ts";
import { waitQuietly } from "./quiet-wait.ts";

export interface OpenedEngine {
  readonly engine: Engine;
  readonly gpu: OpenedGpu;
  /** Gives the device back and lets the process end. */
  close(): void;
}

/** Opens the adapter that the configuration (or DEFT_ADAPTER) asks for and prints its line, the first of a run. */
export async function openEngine({
  adapter,
  tensor_cores: matrices,
}: Pick<Config, "adapter" | "tensor_cores">): Promise<OpenedEngine> {
  const gpu = await openGpu(adapterChoice(adapter ?? undefined), matrices);
  console.log(gpu.line);
  const device = await openDevice(gpu.adapter, {
    kernels: process.env["DEFT_KERNEL"] ?? "",
    waiting: waitQuietly,
    matrices,
  });
  if (matrices && device.matrix === null)
    console.log(`tensor_cores: ${gpu.name} offers no subgroup matrices of float16; none are used`);
  return {
    engine: new Engine(device),
    gpu,
    close() {
      device.destroy();
      closeGpu();
    },
  };
}
