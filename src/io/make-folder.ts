import { mkdirSync, statSync } from "node:fs";
import path from "node:path";

/**
 * Makes a folder and those that it lies in, each asked for once. (Node's own recursive mkdir never ends where a file system denies
 * that a parent is there, as /proc does.) Throws the system's error.
 */
export function makeFolder(folder: string): void {
  if (isFolder(folder)) return;
  const parent = path.dirname(folder);
  if (parent !== folder) makeFolder(parent);
  try {
    mkdirSync(folder);
  } catch (error) {
    if (!isFolder(folder)) throw error; // else another process was first
  }
}

const isFolder = (place: string): boolean =>
  statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
