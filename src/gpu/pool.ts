// Buffers by size class. A freed buffer is handed out again at once: recorded commands run in order, so the next user's
// writes come after the last user's reads. Of several free buffers the oldest is taken, so that a loop that starts each round
// with the same buffers free gets the same ones again, and bind groups made for them are found in the cache. Buffers are only
// destroyed behind a fence (trim) or, reserved ones, when all commands that use them are submitted.
import { DeviceError } from "./errors.ts";
import type { Recorder } from "./recorder.ts";

export interface PoolBuffer {
  readonly buffer: GPUBuffer;
  /** Bytes of the size class, at least what was asked for. */
  readonly size: number;
  /** Number in order of creation. */
  readonly serial: number;
  /** Memory of a plan, which has only a name (recorder.ts). */
  readonly isName?: true;
}

export interface MemoryStats {
  /** Bytes in use now, by size class. */
  live: number;
  /** Bytes kept for reuse. */
  pooled: number;
  /** Largest `live` since the device was opened or `resetPeak`. */
  peak: number;
}

/** Powers of two with four steps each: at most 25 % more than asked for, 256 bytes at least. */
export function sizeClass(bytes: number): number {
  const power = 2 ** Math.max(8, Math.ceil(Math.log2(Math.max(bytes, 1))));
  const step = power / 8;
  return power <= 256 ? 256 : Math.ceil(bytes / step) * step;
}

export class Pool {
  readonly #device: GPUDevice;
  /** Free buffers by size class, the oldest last. */
  readonly #free = new Map<number, PoolBuffer[]>();
  #created = 0;
  readonly #cap: number;
  readonly stats: MemoryStats = { live: 0, pooled: 0, peak: 0 };
  /** While a plan is recorded, what hands out names instead of memory. */
  recorder: Recorder | null = null;

  /** @param cap bytes kept for reuse at most (trimmed behind a fence) */
  constructor(device: GPUDevice, cap: number) {
    this.#device = device;
    this.#cap = cap;
  }

  acquire(bytes: number, label: string): PoolBuffer {
    if (this.recorder) {
      this.#check(bytes, bytes, label);
      return this.recorder.acquire(bytes, label);
    }
    const size = this.#sizeOf(bytes);
    this.#check(size, bytes, label);
    this.#count(size);
    const reused = this.#free.get(size)?.pop();
    if (reused) {
      this.stats.pooled -= size;
      return reused;
    }
    return this.#create(size, label, GPUBufferUsage.STORAGE);
  }

  release(freed: PoolBuffer): void {
    // A name may be freed after its recording, which came to nothing then.
    if (this.recorder?.release(freed) || freed.isName) return;
    const { size, serial } = freed;
    let list = this.#free.get(size);
    if (!list) this.#free.set(size, (list = []));
    let at = list.length;
    while (at > 0 && (list[at - 1] as PoolBuffer).serial < serial) at--;
    list.splice(at, 0, freed);
    this.stats.live -= size;
    this.stats.pooled += size;
  }

  /** A buffer of its own of just this size, which goes back by `discard` alone. */
  reserve(size: number, label: string, kind: "storage" | "uniform" = "storage"): PoolBuffer {
    this.#check(size, size, label);
    this.#count(size);
    return this.#create(size, label, kind === "storage" ? GPUBufferUsage.STORAGE : GPUBufferUsage.UNIFORM);
  }

  /** Destroys a reserved buffer. Only call when no recorded command is left unsubmitted. */
  discard({ buffer, size }: PoolBuffer): void {
    buffer.destroy();
    this.stats.live -= size;
  }

  #create(size: number, label: string, kind: number): PoolBuffer {
    const usage = kind | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
    return { buffer: this.#device.createBuffer({ size, usage, label }), size, serial: this.#created++ };
  }

  get #limit(): number {
    const { maxBufferSize, maxStorageBufferBindingSize } = this.#device.limits;
    return Math.min(maxBufferSize, maxStorageBufferBindingSize);
  }

  /** The size class, but no more than can be bound as long as the bytes can. */
  #sizeOf(bytes: number): number {
    const size = sizeClass(bytes);
    const most = this.#limit - (this.#limit % 4);
    return bytes <= most ? Math.min(size, most) : size;
  }

  #check(size: number, bytes: number, label: string): void {
    const limit = this.#limit;
    if (size > limit)
      throw new DeviceError(
        `${label}: needs ${bytes} bytes in one buffer; this adapter binds ${limit} at most; use a smaller batch or image side`,
      );
  }

  #count(size: number): void {
    this.stats.live += size;
    this.stats.peak = Math.max(this.stats.peak, this.stats.live);
  }

  resetPeak(): void {
    this.stats.peak = this.stats.live;
  }

  /** Destroys pooled buffers over the cap, largest classes first. Only call when no submitted or recorded command is left. */
  trim(cap = this.#cap): void {
    for (const size of [...this.#free.keys()].sort((a, b) => b - a)) {
      const list = this.#free.get(size) ?? [];
      while (this.stats.pooled > cap && list.length > 0) {
        list.shift()?.buffer.destroy();
        this.stats.pooled -= size;
      }
    }
  }
}
