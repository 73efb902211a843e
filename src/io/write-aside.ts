import { randomUUID } from "node:crypto";
import { open, rename, rm, type FileHandle } from "node:fs/promises";
import path from "node:path";
import { makeFolder } from "./make-folder.ts";

/**
 * Writes a file so that readers see the old one or the whole new one: `write` fills a file beside it, which
 * is flushed to the disk and renamed over it. A failing `write` leaves the old file and nothing else.
 */
export async function writeAside(file: string, write: (handle: FileHandle) => Promise<void>): Promise<void> {
  makeFolder(path.dirname(file));
  const aside = `${file}.${randomUUID()}.part`;
  try {
    const handle = await open(aside, "wx");
    try {
      await write(handle);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(aside, file);
  } catch (error) {
    await rm(aside, { force: true });
    throw error;
  }
}
