// Records dispatches and copies into one encoder and submits them in batches; parameters of the dispatches of a batch go
// into one uniform buffer, bound with a dynamic offset, written just before the batch is submitted (queue order makes the
// rewriting of that buffer safe).
import { DeviceError } from "./errors.ts";
import { BindGroups, SLOT, type Launch } from "./launch.ts";
import type { Clear, Copy, Recorder } from "./recorder.ts";

const BATCH = 64; // dispatches a submit
const PLAYED = 256; // of a replay: their parameters are there already

/** A dispatch whose bind group is made and whose parameters lie at `offset` of a buffer in it, or a copy, or a clear. */
export type Step =
  | {
      readonly pipeline: GPUComputePipeline;
      readonly group: GPUBindGroup;
      readonly offset: Uint32Array | null;
      readonly x: number;
      readonly y: number;
      readonly z: number;
    }
  | Copy
  | Clear;

export interface QueueCounters {
  dispatches: number;
  submits: number;
}

export class Queue {
  readonly #device: GPUDevice;
  readonly #params: GPUBuffer;
  readonly #groups: BindGroups;
  readonly #staging = new ArrayBuffer(SLOT * BATCH);
  readonly #bytes = new Uint8Array(this.#staging);
  #encoder: GPUCommandEncoder | undefined;
  #pass: GPUComputePassEncoder | undefined;
  #slots = 0;
  /** What `pace` waits for the next time. */
  #paced: Promise<undefined> | undefined;
  /** Dispatches of replays since the last submit. */
  #played = 0;
  /** While a plan is recorded, what gets the commands. */
  recorder: Recorder | null = null;
  /** First error of the device; every later read fails with it. */
  failure: Error | undefined;
  readonly counters: QueueCounters = { dispatches: 0, submits: 0 };

  readonly #waiting: ((settled: Promise<unknown>) => void) | undefined;

  constructor(device: GPUDevice, placeholder: GPUBuffer, waiting?: (settled: Promise<unknown>) => void) {
    this.#device = device;
    this.#waiting = waiting;
    this.#params = device.createBuffer({
      size: SLOT * BATCH,
      usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
      label: "params",
    });
    this.#groups = new BindGroups(device, this.#params, placeholder);
  }

  #open(): GPUCommandEncoder {
    this.#encoder ??= this.#device.createCommandEncoder();
    return this.#encoder;
  }

  #endPass(): void {
    this.#pass?.end();
    this.#pass = undefined;
  }

  /** Records one dispatch. */
  dispatch(launch: Launch): void {
    if (this.recorder) return this.recorder.dispatch(launch);
    const { program, buffers, params, grid } = launch;
    const group = this.#groups.of(program, buffers);
    this.#pass ??= this.#open().beginComputePass();
    this.#pass.setPipeline(program.pipeline);
    if (params) {
      this.#bytes.set(params, this.#slots * SLOT);
      this.#pass.setBindGroup(0, group, [this.#slots * SLOT]);
    } else this.#pass.setBindGroup(0, group);
    this.#pass.dispatchWorkgroups(grid[0] ?? 1, grid[1] ?? 1, grid[2] ?? 1);
    this.counters.dispatches++;
    if (++this.#slots === BATCH) this.flush();
  }

  /** Records the steps of a replay. */
  play(steps: readonly Step[]): void {
    let last: GPUComputePipeline | undefined;
    for (const step of steps) {
      if ("pipeline" in step) {
        const pass = (this.#pass ??= this.#open().beginComputePass());
        if (step.pipeline !== last) pass.setPipeline((last = step.pipeline));
        if (step.offset) pass.setBindGroup(0, step.group, step.offset, 0, 1);
        else pass.setBindGroup(0, step.group);
        pass.dispatchWorkgroups(step.x, step.y, step.z);
        this.counters.dispatches++;
        if (++this.#played < PLAYED) continue;
        this.flush();
      } else if ("from" in step) this.copy(step.from, step.fromOffset, step.to, step.toOffset, step.bytes);
      else this.clear(step.buffer, step.offset, step.bytes);
      last = undefined; // the pass has ended
    }
  }

  copy(from: GPUBuffer, fromOffset: number, to: GPUBuffer, toOffset: number, bytes: number): void {
    if (this.recorder) return this.recorder.copy({ from, fromOffset, to, toOffset, bytes });
    this.#endPass();
    this.#open().copyBufferToBuffer(from, fromOffset, to, toOffset, bytes);
  }

  /** Fills with zeros: the whole buffer, or `bytes` from `offset` on. */
  clear(buffer: GPUBuffer, offset = 0, bytes?: number): void {
    if (this.recorder) return this.recorder.clear({ buffer, offset, bytes });
    this.#endPass();
    this.#open().clearBuffer(buffer, offset, bytes);
  }

  /** Writes host data. Recorded commands are submitted first, since writeBuffer would overtake them. */
  upload(buffer: GPUBuffer, data: ArrayBufferView<ArrayBuffer>, offset = 0): void {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (this.recorder) return this.recorder.upload(buffer, bytes, offset);
    this.flush();
    if (bytes.byteLength % 4 === 0) this.#device.queue.writeBuffer(buffer, offset, bytes);
    else {
      const padded = new Uint8Array(Math.ceil(bytes.byteLength / 4) * 4);
      padded.set(bytes);
      this.#device.queue.writeBuffer(buffer, offset, padded);
    }
  }

  flush(): void {
    if (!this.#encoder) return;
    this.#endPass();
    if (this.#slots > 0)
      this.#device.queue.writeBuffer(this.#params, 0, this.#staging, 0, this.#slots * SLOT);
    this.#device.queue.submit([this.#encoder.finish()]);
    this.counters.submits++;
    this.#encoder = undefined;
    this.#slots = 0;
    this.#played = 0;
  }

  /**
   * For each step of a loop: submits what is recorded and waits for what was submitted the time before, so that a step is recorded
   * while the one before runs, and no more piles up. Rejects with the device's first error.
   */
  async pace(): Promise<void> {
    const before = this.#paced;
    this.#paced = this.#fence();
    await before;
    if (this.failure) throw this.failure;
  }

  /** Submits what is recorded; resolves when it has run. */
  #fence(): Promise<undefined> {
    this.recorder?.refuse("waiting for the GPU");
    this.flush();
    const done = this.#device.queue.onSubmittedWorkDone();
    this.#waiting?.(done);
    return done;
  }

  /** Waits until everything recorded so far has run; rejects with the device's first error. */
  async idle(): Promise<void> {
    await this.#fence();
    if (this.failure) throw this.failure;
  }

  /** Copies `bytes` of a buffer, from `offset` on, to the host. */
  async read(buffer: GPUBuffer, offset: number, bytes: number): Promise<ArrayBuffer> {
    this.recorder?.refuse("read");
    const size = Math.ceil(bytes / 4) * 4;
    const staging = this.#device.createBuffer({
      size,
      usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    });
    try {
      this.copy(buffer, offset, staging, 0, size);
      this.flush();
      const mapped = staging.mapAsync(GPUMapMode.READ);
      this.#waiting?.(mapped);
      await mapped.catch((e: unknown) => {
        throw this.failure ?? new DeviceError(`read: the buffer could not be mapped; ${String(e)}`);
      });
      if (this.failure) throw this.failure;
      const out = staging.getMappedRange().slice(0, bytes);
      staging.unmap();
      return out;
    } finally {
      staging.destroy();
    }
  }
}
