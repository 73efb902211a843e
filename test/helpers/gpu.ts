// The adapter that tests run on: DEFT_ADAPTER, else the first that works. None at all fails the tests.
import { adapterChoice, openGpu } from "../../src/cli/dawn.ts";
import type { OpenedGpu } from "../../src/cli/dawn.ts";

let opening: Promise<OpenedGpu> | undefined;

/** The opened GPU of this process, opened once. */
export function testGpu(): Promise<OpenedGpu> {
  opening ??= openGpu(adapterChoice());
  return opening;
}

/** A fresh handle of this process' adapter for each call, since Dawn opens one device per handle. */
export async function testAdapter(): Promise<GPUAdapter> {
  return (await testGpu()).freshAdapter();
}
