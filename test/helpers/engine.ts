// One engine for each choice of kernels in a test process, on the adapter that global-setup named.
import { waitQuietly } from "../../src/cli/quiet-wait.ts";
import { Engine, openDevice } from "../../src/tensor/index.ts";
import { testAdapter } from "./gpu.ts";

const engines = new Map<string, Promise<Engine>>();

/** `kernels` as in DeviceOptions. */
export function testEngine(kernels = process.env["DEFT_KERNEL"] ?? ""): Promise<Engine> {
  let engine = engines.get(kernels);
  if (!engine) engines.set(kernels, (engine = open(kernels)));
  return engine;
}

async function open(kernels: string): Promise<Engine> {
  return new Engine(await openDevice(await testAdapter(), { kernels, waiting: waitQuietly }));
}
