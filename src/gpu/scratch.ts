// Memory of the intermediates of all recordings of a device. Between two replays nothing in it is needed, and replays run one after
// another, so all use the same buffers: the k-th is as large as the largest k-th of any of them.
import type { Pool, PoolBuffer } from "./pool.ts";

export class Scratch {
  readonly #pool: Pool;
  /** Submits what is recorded: only then may a buffer be destroyed. */
  readonly #flush: () => void;
  readonly #users = new Map<object, readonly number[]>();
  #buffers: PoolBuffer[] = [];
  /** Changes whenever a buffer does. */
  generation = 0;

  constructor(pool: Pool, flush: () => void) {
    this.#pool = pool;
    this.#flush = flush;
  }

  /** Makes room for a user's buffers, largest first. */
  join(user: object, sizes: readonly number[]): void {
    this.#users.set(user, sizes);
    this.#fit();
  }

  leave(user: object): void {
    if (this.#users.delete(user)) this.#fit();
  }

  /** The k-th buffer; another one once `generation` has changed. */
  buffer(k: number): GPUBuffer {
    return (this.#buffers[k] as PoolBuffer).buffer;
  }

  #fit(): void {
    const needed: number[] = [];
    for (const sizes of this.#users.values())
      sizes.forEach((size, k) => (needed[k] = Math.max(needed[k] ?? 0, size)));
    const old = this.#buffers;
    if (needed.length === old.length && needed.every((size, k) => old[k]?.size === size)) return;
    this.#flush();
    // What is too small or of no use goes first, so that both are never there at once.
    old.forEach((b, k) => b.size !== needed[k] && this.#pool.discard(b));
    this.#buffers = needed.map((size, k) => {
      const kept = old[k];
      return kept?.size === size ? kept : this.#pool.reserve(size, `scratch ${k}`);
    });
    this.generation++;
  }
}
