// The entry `deft-webgpu/node`: a WebGPU adapter for programs in Node. It holds nothing of the engine, so that device, tensors
// and ops all come from the one copy in the main entry.
import type { TuningTable } from "../io/tuning.ts";
import { adapterChoice, closeGpu, openGpu, type AdapterKind } from "./dawn.ts";
import { waitQuietly } from "./quiet-wait.ts";
import { saveMeasured, tuningOf } from "./tuning.ts";

export interface NodeAdapter {
  /** For openDevice; good for one device. */
  readonly adapter: GPUAdapter;
  readonly kind: AdapterKind;
  /** The adapter's own name, such as "llvmpipe (LLVM 15.0.6, 256 bits)". */
  readonly name: string;
  /** One line to print: the adapter and why it was chosen. */
  readonly line: string;
  /** The name and the driver: what a tuning table is of. */
  readonly identity: string;
  /** DeviceOptions.tuning: the table of DEFT_TUNING, else the shipped one of this adapter, else an empty one. */
  readonly tuning: TuningTable;
  /** DeviceOptions.waiting: lets the process rest while the GPU works, where Dawn would keep a core busy. */
  readonly waiting: (settled: Promise<unknown>) => void;
  /** Ends the process by 2 s from now even if Dawn still waits for something. Call last, after `device.destroy()`. */
  readonly close: () => void;
}

/**
 * Opens an adapter with Dawn: "hardware", "lavapipe", "swiftshader", or "auto", which takes the first of these that works.
 * Without a choice DEFT_ADAPTER rules, else "auto". Throws an error of one line that says what to do.
 */
export async function openNodeAdapter(choice?: string): Promise<NodeAdapter> {
  const { adapter, kind, name, line, identity } = await openGpu(adapterChoice(choice));
  const tuning = await tuningOf(identity);
  return { adapter, kind, name, line, identity, tuning, waiting: waitQuietly, close: closeGpu };
}

/**
 * Writes the variants that were measured to be the fastest on an adapter (null: the usual one) into its tuning table, aside and
 * renamed; its other problems stay. `identity` as in NodeAdapter; `file`: another place than that where openNodeAdapter looks.
 * Throws an error of one line for a file that is no table of this adapter.
 */
export function saveTuning(
  identity: string,
  measured: ReadonlyMap<string, string | null>,
  file?: string,
): Promise<TuningTable> {
  return saveMeasured(identity, measured, file);
}
