// Our engine in the form of the peers' harness (peers/bench.mjs says how a peer looks), through the public entries alone.
// It needs `npm run build`.
import { Engine, openDevice } from "deft-webgpu";
import { openNodeAdapter } from "deft-webgpu/node";
import { buildWork } from "./works.mjs";

let engine;

export default {
  async init() {
    const { adapter, name, tuning, waiting } = await openNodeAdapter();
    const kernels = process.env.DEFT_KERNEL ?? "";
    engine = new Engine(await openDevice(adapter, { kernels, tuning, waiting }));
    return `deft-webgpu: ${name}`;
  },
  unsupported: () => null,
  async build(c, data) {
    return { ...buildWork(engine, c, data), sync: () => engine.device.queue.idle() };
  },
};
