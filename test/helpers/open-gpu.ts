// A program for test/cli/dawn.test.ts: opens an adapter and a device, computes on it, prints one line of JSON, and
// leaves the end of the process to Node.
import { adapterChoice, closeGpu, openGpu } from "../../src/cli/dawn.ts";

const shader = `
@group(0) @binding(0) var<storage, read_write> data: array<u32>;
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3u) { data[id.x] = id.x * id.x; }`;

try {
  const { adapter, kind, line, languageFeatures } = await openGpu(adapterChoice(process.argv[2]));
  const device = await adapter.requestDevice();
  const ready = performance.now();
  const data = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC });
  const read = device.createBuffer({ size: 256, usage: GPUBufferUsage.COPY_DST | GPUBufferUsage.MAP_READ });
  const module = device.createShaderModule({ code: shader });
  const pipeline = device.createComputePipeline({ layout: "auto", compute: { module } });
  const entries = [{ binding: 0, resource: { buffer: data } }];
  const encoder = device.createCommandEncoder();
  const pass = encoder.beginComputePass();
  pass.setPipeline(pipeline);
  pass.setBindGroup(0, device.createBindGroup({ layout: pipeline.getBindGroupLayout(0), entries }));
  pass.dispatchWorkgroups(1);
  pass.end();
  encoder.copyBufferToBuffer(data, 0, read, 0, 256);
  device.queue.submit([encoder.finish()]);
  await read.mapAsync(GPUMapMode.READ);
  const squares = [...new Uint32Array(read.getMappedRange())];
  device.destroy();
  const drivers = process.env.VK_DRIVER_FILES ?? null;
  console.log(
    JSON.stringify({ kind, line, ready, squares, drivers, wgsl: [...languageFeatures], at: Date.now() }),
  );
  closeGpu();
} catch (error) {
  console.error(`deft: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
