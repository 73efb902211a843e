import type { Device } from "../gpu/device.ts";
import type { HasBuffer } from "./kernel.ts";

/** Runs `fn` with a workspace of `floats`; freed as soon as the commands are recorded, since they run in order. */
export function withWorkspace(
  device: Device,
  floats: number,
  what: string,
  fn: (space: HasBuffer) => void,
): void {
  const space = device.pool.acquire(floats * 4, `workspace for ${what}`);
  try {
    fn({ buffer: space.buffer });
  } finally {
    device.pool.release(space);
  }
}

/**
 * Runs `fn` with `floats` that `make` derives from `source`: for this call, or made once and kept where the source is constant, under
 * a name that says what was derived.
 */
export function withDerived(
  device: Device,
  source: HasBuffer,
  { name, floats }: { name: string; floats: number },
  make: (into: HasBuffer) => void,
  fn: (derived: HasBuffer) => void,
): void {
  if (!source.derived || device.recorder?.owns(source.buffer)) {
    withWorkspace(device, floats, name, (space) => {
      make(space);
      fn(space);
    });
    return;
  }
  const { derived } = source;
  let kept = derived.get(name);
  // What is kept is made once, not in each replay of a plan.
  if (!kept)
    kept = device.record(null, () => {
      const made = device.pool.acquire(4 * floats, `kept ${name}`);
      derived.set(name, made);
      make({ buffer: made.buffer });
      return made;
    });
  device.recorder?.reads.set(kept, () => derived.get(name) === kept);
  fn({ buffer: kept.buffer });
}
