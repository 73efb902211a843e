// Dropout of a network's residual blocks.
import { dropout, type Tensor } from "../tensor/index.ts";
import type { Layer } from "./layers.ts";

/** What a training step draws from: as RandomOptions of the tensor layer. */
export interface DropoutDraw {
  readonly seed: number;
  readonly stream: number;
}

/** Identity, except inside `during`: there each call drops its own values, which follow from the draw and the call's number. */
export class Dropout {
  readonly rate: number;
  #draw: DropoutDraw | null = null;
  #images = 0;

  /** `rate`: share of the values set to zero, 0 <= rate < 1. */
  constructor(rate: number) {
    this.rate = rate;
  }

  /** Whether values are being dropped: inside `during`, at a rate above 0. */
  get isOn(): boolean {
    return this.#draw !== null && this.rate > 0;
  }

  readonly apply: Layer = (x: Tensor): Tensor => {
    if (this.#draw === null || this.rate === 0) return x;
    const first = this.#images;
    this.#images += x.dim(0);
    return dropout(x, { ...this.#draw, first, rate: this.rate });
  };

  /** Runs `fn`, a training step's forward pass, with dropout on. */
  during<T>(draw: DropoutDraw, fn: () => T): T {
    [this.#draw, this.#images] = [draw, 0];
    try {
      return fn();
    } finally {
      this.#draw = null;
    }
  }
}
