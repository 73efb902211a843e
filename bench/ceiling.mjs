// The adapter's ceiling, measured beside every case: rates of ceiling.wgsl. Ratios to it can be compared between runs and
// machines, milliseconds cannot.
import { readFileSync } from "node:fs";

const BYTES = 2 ** 25; // of each of the two buffers, past most caches
const VECTORS = BYTES / 16;
const INVOCATIONS = 2 ** 14; // of the multiply-add kernels
const STEPS = 512;

const kernels = [
  { entry: "few", groups: INVOCATIONS / 64, flops: 2 * 12 * STEPS * INVOCATIONS },
  { entry: "many", groups: INVOCATIONS / 64, flops: 2 * 32 * STEPS * INVOCATIONS },
  { entry: "copy_narrow", groups: VECTORS / 64, bytes: 2 * BYTES },
  { entry: "copy_wide", groups: VECTORS / 1024, bytes: 2 * BYTES },
];

/** { gflops, gbps }: the best rate of any pass of any kernel, each tried for about `seconds`. */
export async function measureCeiling(device, seconds = 0.12) {
  const { gpu } = device;
  const module = gpu.createShaderModule({
    code: readFileSync(new URL("ceiling.wgsl", import.meta.url), "utf8"),
    label: "ceiling",
  });
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST;
  const [x, out] = ["x", "out"].map((label) => gpu.createBuffer({ size: BYTES, usage, label }));
  gpu.queue.writeBuffer(x, 0, Float32Array.from([0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.25]));
  const best = { gflops: 0, gbps: 0 };
  for (const { entry, groups, flops = 0, bytes = 0 } of kernels) {
    const pipeline = gpu.createComputePipeline({
      layout: "auto",
      compute: { module, entryPoint: entry },
      label: entry,
    });
    const entries = [x, out].map((buffer, binding) => ({ binding, resource: { buffer } }));
    const group = gpu.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries });
    const pass = async (repeats) => {
      const start = performance.now();
      const encoder = gpu.createCommandEncoder();
      const compute = encoder.beginComputePass();
      compute.setPipeline(pipeline);
      compute.setBindGroup(0, group);
      for (let i = 0; i < repeats; i++) compute.dispatchWorkgroups(groups);
      compute.end();
      gpu.queue.submit([encoder.finish()]);
      await device.queue.idle();
      return performance.now() - start;
    };
    await pass(1);
    let repeats = 1;
    while ((await pass(repeats)) < 5 && repeats < 2 ** 14) repeats *= 2;
    const until = performance.now() + 1000 * seconds;
    do {
      const perSecond = (1000 * repeats) / (await pass(repeats));
      best.gflops = Math.max(best.gflops, (flops * perSecond) / 1e9);
      best.gbps = Math.max(best.gbps, (bytes * perSecond) / 1e9);
    } while (performance.now() < until);
  }
  x.destroy();
  out.destroy();
  return best;
}
