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
