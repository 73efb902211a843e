// The device: adapter, requested limits and features, errors. Knows buffers and submits, nothing of numerics.
import { DeviceError } from "./errors.ts";
import { Pool, type PoolBuffer } from "./pool.ts";
import { Queue } from "./queue.ts";
import type { Recorder } from "./recorder.ts";
import { Scratch } from "./scratch.ts";

/** Kernel variants that were measured to be the fastest of an adapter, by problem (src/kernels/variant.ts). */
export interface Tuning {
  /** Where they come from, for messages. */
  readonly source: string;
  readonly variants: ReadonlyMap<string, string>;
}

export interface DeviceOptions {
  /** Forces kernel variants, "base" or "family:variant,…" (src/kernels/variant.ts). */
  kernels?: string;
  /** Names variants by problem, before the kernels' own rules and after `kernels`; the same table gives the same bits. */
  tuning?: Tuning;
  /** Told of each choice of a variant: the problem, the variant, and what lists all that can run. For tuning: plans are run then, not replayed. */
  picked?: (problem: string, variant: string, able: () => string[]) => void;
  /** Uses subgroup matrices (tensor cores) for f16 where the adapter has them; an experiment of Dawn's. */
  matrices?: boolean;
  /** Bytes of freed buffers kept for reuse. */
  poolBytes?: number;
  /** Told of each promise that waits for the GPU: where the platform polls, it can rest until that settles. */
  waiting?: (settled: Promise<unknown>) => void;
}

const FEATURES = ["subgroups", "shader-f16", "timestamp-query"] as const;
const MATRICES = "chromium-experimental-subgroup-matrix" as GPUFeatureName;

/** The sizes of one product of subgroup matrices, M×K by K×N. */
export interface MatrixSizes {
  readonly M: number;
  readonly N: number;
  readonly K: number;
}
const LIMITS = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupSizeX",
  "maxComputeWorkgroupSizeY",
] as const;

export class Device {
  readonly gpu: GPUDevice;
  readonly info: GPUAdapterInfo;
  readonly adapterName: string;
  /** Runs on the CPU (lavapipe, SwiftShader): other kernel variants win there. */
  readonly software: boolean;
  /** Kernels may store f16. */
  readonly half: boolean;
  /** Lanes of a subgroup when it is fixed and the feature is there, else 0. */
  readonly subgroupSize: number;
  /** Of f16 with sums in f32, the adapter's first that our tiles of 32 divide into; null without them or unasked. */
  readonly matrix: MatrixSizes | null;
  readonly pool: Pool;
  readonly queue: Queue;
  readonly scratch: Scratch;
  readonly kernels: string;
  readonly tuning: Tuning;
  readonly picked: DeviceOptions["picked"];
  /** Compiled pipelines, bind groups and variant choices by key; owned by src/kernels. */
  readonly cache = new Map<string, unknown>();
  /** Bound where a kernel's optional input is absent. */
  readonly placeholder: GPUBuffer;

  constructor(gpu: GPUDevice, info: GPUAdapterInfo, options: DeviceOptions) {
    this.gpu = gpu;
    this.info = info;
    this.adapterName = info.description || info.device || info.vendor || "unknown adapter";
    // Browsers leave device and description empty; SwiftShader is an architecture there.
    const { vendor, architecture, device, description } = info;
    this.software = /llvmpipe|lavapipe|swiftshader/i.test(
      [vendor, architecture, device, description].join(" "),
    );
    this.half = gpu.features.has("shader-f16");
    const fixed = info.subgroupMinSize === info.subgroupMaxSize;
    this.subgroupSize = gpu.features.has("subgroups") && fixed ? (info.subgroupMinSize ?? 0) : 0;
    // The kernels stage 64 columns by four subgroups, a lane one or more rows of a column.
    const staged = [16, 32, 64].includes(this.subgroupSize);
    this.matrix = options.matrices && staged && gpu.features.has(MATRICES) ? matrixOf(info) : null;
    this.pool = new Pool(gpu, options.poolBytes ?? 2 ** 30);
    this.placeholder = gpu.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE, label: "placeholder" });
    this.queue = new Queue(gpu, this.placeholder, options.waiting);
    this.scratch = new Scratch(this.pool, () => this.queue.flush());
    this.kernels = options.kernels ?? "";
    this.tuning = options.tuning ?? { source: "tuning", variants: new Map() };
    this.picked = options.picked;
    gpu.onuncapturederror = (event) => {
      this.queue.failure ??= new DeviceError(event.error.message);
    };
    void gpu.lost.then((lost) => {
      if (lost.reason !== "destroyed")
        this.queue.failure ??= new DeviceError(`the GPU device was lost: ${lost.message}`);
    });
  }

  /** What takes the commands of a plan while it is recorded. */
  get recorder(): Recorder | null {
    return this.queue.recorder;
  }

  /** Runs `fn` with `recorder` in place of queue and pool; null: with these themselves, inside of a recording too. */
  record<T>(recorder: Recorder | null, fn: () => T): T {
    const before = this.queue.recorder;
    this.queue.recorder = this.pool.recorder = recorder;
    try {
      return fn();
    } finally {
      this.queue.recorder = this.pool.recorder = before;
    }
  }

  /** A buffer of its own with these bytes; the pool's `discard` destroys it. */
  constant(data: Uint8Array<ArrayBuffer>, label: string, kind?: "uniform"): PoolBuffer {
    const made = this.pool.reserve(Math.ceil(data.byteLength / 256) * 256, label, kind);
    this.record(null, () => this.queue.upload(made.buffer, data));
    return made;
  }

  /** Waits for the GPU and destroys freed buffers over the pool's cap; for long loops, now and then. */
  async trim(): Promise<void> {
    await this.queue.idle();
    this.pool.trim();
  }

  destroy(): void {
    this.gpu.destroy();
  }
}

function matrixOf(info: GPUAdapterInfo): MatrixSizes | null {
  const { subgroupMatrixConfigs: all = [] } = info as GPUAdapterInfo & {
    subgroupMatrixConfigs?: Iterable<MatrixSizes & { componentType: string; resultComponentType: string }>;
  };
  const fits = ({ M, N, K }: MatrixSizes): boolean => [M, N, K].every((v) => 32 % v === 0);
  return (
    [...all].find((c) => c.componentType === "f16" && c.resultComponentType === "f32" && fits(c)) ?? null
  );
}

/** Opens a device with every feature and limit of the adapter that the kernels can use. */
export async function openDevice(adapter: GPUAdapter, options: DeviceOptions = {}): Promise<Device> {
  const wanted = options.matrices ? [...FEATURES, MATRICES] : FEATURES;
  const requiredFeatures = wanted.filter((f) => adapter.features.has(f));
  const requiredLimits = Object.fromEntries(LIMITS.map((l) => [l, adapter.limits[l]]));
  const gpu = await adapter.requestDevice({ requiredFeatures, requiredLimits }).catch((e: unknown) => {
    throw new DeviceError(`the adapter refused a device: ${String(e)}`);
  });
  return new Device(gpu, adapter.info, options);
}
