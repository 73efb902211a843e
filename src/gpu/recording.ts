// A recorded list of commands: intermediates get their memory, parameters are written once, bind groups are made; then each replay
// is three calls a dispatch.
import type { Device } from "./device.ts";
import { BindGroups, SLOT, type Binding, type Launch } from "./launch.ts";
import { shareMemory } from "./liveness.ts";
import type { PoolBuffer } from "./pool.ts";
import type { Step } from "./queue.ts";
import type { Recorder } from "./recorder.ts";

/** A buffer of the recording that stands for an argument or a result, and how many bytes of it are copied. */
export interface Port {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number;
}

export class Recording {
  readonly #device: Device;
  readonly #recorder: Recorder;
  readonly #inputs: readonly Port[];
  readonly #outputs: readonly Port[];
  /** Which shared memory a buffer of the recording lies in. */
  readonly #shared: ReadonlyMap<GPUBuffer, number>;
  readonly #params: PoolBuffer;
  #steps: Step[] = [];
  #generation = -1;

  constructor(device: Device, recorder: Recorder, inputs: readonly Port[], outputs: readonly Port[]) {
    this.#device = device;
    this.#recorder = recorder;
    this.#inputs = inputs;
    this.#outputs = outputs;
    for (const { buffer } of inputs) recorder.use(buffer, 0);
    for (const { buffer } of outputs) recorder.use(buffer);
    const intervals = recorder.intervals();
    const { sizes, shared } = shareMemory([...intervals.values()]);
    this.#shared = new Map([...intervals.keys()].map((buffer, i) => [buffer, shared[i] as number]));
    const launches = recorder.commands.filter((c): c is Launch => "program" in c);
    const params = new Uint8Array(Math.max(1, launches.length) * SLOT);
    launches.forEach((launch, i) => launch.params && params.set(launch.params, i * SLOT));
    this.#params = device.constant(params, "parameters of a plan", "uniform");
    device.scratch.join(this, sizes);
  }

  /** Records the commands: arguments are copied in, results out. */
  replay(args: readonly Binding[], results: readonly Binding[]): void {
    const { queue, scratch } = this.#device;
    if (this.#generation !== scratch.generation) this.#bind();
    this.#inputs.forEach(({ buffer, offset, bytes }, i) => {
      const from = args[i] as Binding;
      queue.copy(from.buffer, from.offset ?? 0, this.#real(buffer), offset, bytes);
    });
    queue.play(this.#steps);
    this.#outputs.forEach(({ buffer, offset, bytes }, i) => {
      const to = results[i] as Binding;
      queue.copy(this.#real(buffer), offset, to.buffer, to.offset ?? 0, bytes);
    });
  }

  dispose(): void {
    this.#device.scratch.leave(this);
    this.#device.queue.flush();
    this.#device.pool.discard(this.#params);
    this.#recorder.dispose(this.#device.pool);
  }

  #real(buffer: GPUBuffer): GPUBuffer {
    const k = this.#shared.get(buffer);
    return k === undefined ? buffer : this.#device.scratch.buffer(k);
  }

  #bind(): void {
    const { gpu, scratch, placeholder } = this.#device;
    const groups = new BindGroups(gpu, this.#params.buffer, placeholder);
    let slot = 0;
    this.#steps = this.#recorder.commands.map((c): Step => {
      if ("program" in c) {
        const offset = new Uint32Array([SLOT * slot++]);
        const buffers = c.buffers.map((b) => b && { ...b, buffer: this.#real(b.buffer) });
        const group = groups.of(c.program, buffers);
        const [x = 1, y = 1, z = 1] = c.grid;
        return {
          pipeline: c.program.pipeline,
          group,
          offset: c.program.uniform < 0 ? null : offset,
          x,
          y,
          z,
        };
      }
      if ("from" in c) return { ...c, from: this.#real(c.from), to: this.#real(c.to) };
      return { ...c, buffer: this.#real(c.buffer) };
    });
    this.#generation = scratch.generation;
  }
}
