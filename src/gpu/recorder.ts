// Takes the place of queue and pool while a plan is recorded: commands are kept instead of encoded, and buffers are only names of
// memory that is shared out when all commands are known.
import { DeviceError } from "./errors.ts";
import type { Launch } from "./launch.ts";
import type { Interval } from "./liveness.ts";
import type { Pool, PoolBuffer } from "./pool.ts";

export interface Copy {
  readonly from: GPUBuffer;
  readonly fromOffset: number;
  readonly to: GPUBuffer;
  readonly toOffset: number;
  readonly bytes: number;
}

export interface Clear {
  readonly buffer: GPUBuffer;
  readonly offset: number;
  readonly bytes: number | undefined;
}

export type Command = Launch | Copy | Clear;

interface Named {
  readonly label: string;
  readonly size: number;
  /** First and last command that uses it. */
  first: number;
  last: number;
  isHeld: boolean;
}

export class Recorder {
  readonly commands: Command[] = [];
  /** Buffers of host data that was written meanwhile; a replay copies from them. */
  readonly constants: PoolBuffer[] = [];
  /** Each says whether something that the commands read and that lives elsewhere is still the same. */
  readonly reads = new Map<object, () => boolean>();
  readonly #named = new Map<GPUBuffer, Named>();
  readonly #constant: (data: Uint8Array<ArrayBuffer>) => PoolBuffer;
  #serial = 0;

  /** @param constant makes a real buffer of host data */
  constructor(constant: (data: Uint8Array<ArrayBuffer>) => PoolBuffer) {
    this.#constant = constant;
  }

  /** Whether this buffer is only a name of this recording. */
  owns(buffer: GPUBuffer): boolean {
    return this.#named.has(buffer);
  }

  acquire(bytes: number, label: string): PoolBuffer {
    const size = Math.ceil(Math.max(bytes, 1) / 256) * 256;
    const buffer = { label, size } as unknown as GPUBuffer;
    this.#named.set(buffer, { label, size, first: -1, last: -1, isHeld: true });
    return { buffer, size, serial: this.#serial++, isName: true };
  }

  /** False for a real buffer. */
  release({ buffer }: PoolBuffer): boolean {
    const named = this.#named.get(buffer);
    if (named) named.isHeld = false;
    return named !== undefined;
  }

  dispatch(launch: Launch): void {
    for (const b of launch.buffers) if (b) this.use(b.buffer);
    this.commands.push({ ...launch, params: launch.params?.slice(), buffers: launch.buffers.map(plain) });
  }

  copy(copy: Copy): void {
    this.use(copy.from);
    this.use(copy.to);
    this.commands.push(copy);
  }

  clear(clear: Clear): void {
    this.use(clear.buffer);
    this.commands.push(clear);
  }

  upload(to: GPUBuffer, data: Uint8Array<ArrayBuffer>, toOffset: number): void {
    const made = this.#constant(data);
    this.constants.push(made);
    const bytes = Math.ceil(data.byteLength / 4) * 4;
    this.copy({ from: made.buffer, fromOffset: 0, to, toOffset, bytes });
  }

  /** Says that the next command uses a buffer, or that it is needed before the first (at 0) or after the last. */
  use(buffer: GPUBuffer, at = this.commands.length): void {
    const named = this.#named.get(buffer);
    if (!named) return;
    if (named.first < 0 || at < named.first) named.first = at;
    named.last = Math.max(named.last, at);
  }

  /** Whether all that the commands read elsewhere is still the same. */
  get isCurrent(): boolean {
    for (const isSame of this.reads.values()) if (!isSame()) return false;
    return true;
  }

  /** Label of a buffer that was made meanwhile and not freed. */
  get leftover(): string | undefined {
    return [...this.#named.values()].find((n) => n.isHeld)?.label;
  }

  /** The buffers that commands use, and when. */
  intervals(): Map<GPUBuffer, Interval> {
    return new Map([...this.#named].filter(([, { first }]) => first >= 0));
  }

  /** Destroys its constants. Only call when no recorded command is left unsubmitted. */
  dispose(pool: Pool): void {
    for (const b of this.constants) pool.discard(b);
  }

  /** Called for whatever needs the results of commands now. */
  refuse(what: string): never {
    throw new DeviceError(
      `${what}: a plan is being recorded, nothing has run yet; do it outside of the plan`,
    );
  }
}

/** A tensor is a binding too: what is kept of it are numbers and the buffer. */
function plain(b: Launch["buffers"][number]): Launch["buffers"][number] {
  if (!b) return null;
  const { buffer, offset = 0, bytes } = b;
  return bytes === undefined ? { buffer } : { buffer, offset, bytes };
}
