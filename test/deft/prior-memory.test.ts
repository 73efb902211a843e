import { create, globals } from "webgpu";
import { beforeAll, expect, it } from "vitest";
import { resolveConfig } from "../../src/deft/config/resolve.ts";
import { priorConfig, scheduleOf } from "../../src/deft/networks.ts";
import { Prior } from "../../src/deft/prior.ts";
import { UNet } from "../../src/nn/unet.ts";
import { dryDevice, Engine, openDevice, sizeOf, type Device } from "../../src/tensor/index.ts";
import { testEngine } from "../helpers/engine.ts";

// The network of ADM for 256x256 pictures, run on devices that only count: what the adapter at hand would take, and what one with
// shader-f16 would (Dawn's null backend offers it).
let nullDevice: Device;
const gpu = create(["backend=null"]);
beforeAll(async () => {
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
  nullDevice = await openDevice((await gpu.requestAdapter()) as GPUAdapter);
});

async function peak(like: Device, half: boolean): Promise<number> {
  const { config } = resolveConfig(["model=imagenet256_uncond"]);
  const network = priorConfig(config.model);
  const shapes = new Map(new UNet(network).declarations.list.map((p) => [p.name, p.shape]));
  const sizes = [...shapes.values()].map(sizeOf);
  expect(sizes.reduce((a, b) => a + b, 0)).toBe(552_814_086);
  const zeros = new Float32Array(Math.max(...sizes));
  const source = {
    names: [...shapes.keys()],
    shape: (name: string) => shapes.get(name) ?? [],
    read: (name: string) => Promise.resolve(zeros.subarray(0, sizeOf(shapes.get(name) ?? []))),
  };
  const engine = new Engine(dryDevice(like));
  const schedule = scheduleOf(config.diffusion);
  const prior = await Prior.load(engine, { network, prediction: "epsilon", schedule, half }, source, "zeros");
  engine.scope(() => engine.noGrad(() => void prior.denoise(engine.empty([1, 3, 256, 256]), [500])));
  return engine.device.pool.stats.peak;
}

it("takes at most 5 GB in float32 for one picture", async () => {
  expect(await peak((await testEngine()).device, false)).toBeLessThan(5e9);
  expect(await peak(nullDevice, false)).toBeLessThan(5e9);
});

it("takes at most 3 GB in float16", async () => {
  const bytes = await peak(nullDevice, true);
  expect(bytes).toBeLessThan(3e9);
  // Twice 552.8 M at least.
  expect(bytes).toBeGreaterThan(1.1e9);
  const { device } = await testEngine();
  if (device.half) expect(await peak(device, true)).toBeLessThan(3e9);
});
