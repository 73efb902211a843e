// One engine per test process, on the adapter that global-setup named.
import { waitQuietly } from "../../src/cli/quiet-wait.ts";
import { Engine, openDevice } from "../../src/tensor/index.ts";
import { testAdapter } from "./gpu.ts";

let engine: Promise<Engine> | undefined;

export function testEngine(): Promise<Engine> {
  engine ??= testAdapter().then(
    async (adapter) =>
      new Engine(
        await openDevice(adapter, { kernels: process.env["DEFT_KERNEL"] ?? "", waiting: waitQuietly }),
      ),
  );
  return engine;
}
