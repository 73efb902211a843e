// A device that records nothing and computes nothing, but counts memory as the real one would: the same code run on it tells how
// much a run will take before it starts.
import { Device } from "./device.ts";

const nothing = (): void => undefined;

function dryBuffer(size: number): object {
  return {
    size,
    destroy: nothing,
    unmap: nothing,
    mapAsync: () => Promise.resolve(),
    getMappedRange: () => new ArrayBuffer(size),
  };
}

/** What src/gpu and src/kernels ask of a GPUDevice, with the limits and features of `like`. */
function dryGpu(like: GPUDevice): GPUDevice {
  const pass = { setPipeline: nothing, setBindGroup: nothing, dispatchWorkgroups: nothing, end: nothing };
  const encoder = {
    beginComputePass: () => pass,
    copyBufferToBuffer: nothing,
    clearBuffer: nothing,
    finish: () => ({}),
  };
  const gpu = {
    limits: like.limits,
    features: like.features,
    lost: new Promise(nothing),
    queue: { writeBuffer: nothing, submit: nothing, onSubmittedWorkDone: () => Promise.resolve() },
    createBuffer: ({ size }: { size: number }) => dryBuffer(size),
    createShaderModule: () => ({ getCompilationInfo: () => Promise.resolve({ messages: [] }) }),
    createBindGroupLayout: () => ({}),
    createPipelineLayout: () => ({}),
    createComputePipeline: () => ({}),
    createBindGroup: () => ({}),
    createCommandEncoder: () => encoder,
    destroy: nothing,
  };
  return gpu as unknown as GPUDevice;
}

/** A dry device that takes the same kernel variants as `like`. What is read from it is zeros. */
export function dryDevice(like: Device): Device {
  const { kernels, tuning } = like;
  return new Device(dryGpu(like.gpu), like.info, { kernels, tuning, matrices: like.matrix !== null });
}
