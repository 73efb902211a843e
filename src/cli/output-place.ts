// Whether what a command will write can be written: asked before any work, and nothing is left behind.
import { lstatSync, mkdtempSync, rmdirSync, statSync } from "node:fs";
import path from "node:path";
import { UserError } from "../deft/errors.ts";

/**
 * Throws a UserError where no file can be made in a folder, or in the nearest one above it while it is not there. `option`: where the
 * user named it; `pass`: what else to name there.
 */
export function checkFolder(option: string, folder: string, pass: string): void {
  const refuse = refusal(option, folder, pass);
  const nearest = refuse(() => nearestOf(folder));
  const found = refuse(() => statSync(nearest, { throwIfNoEntry: false }));
  if (!found?.isDirectory())
    throw new UserError(
      `${option}: ${nearest} is a ${found ? "file" : "link to nothing"}, not a folder; pass ${pass}`,
    );
  // Rights alone do not tell: a disk may be read-only, and /proc lets nobody make anything.
  refuse(() => rmdirSync(mkdtempSync(path.join(nearest, ".deft-"))));
}

/** Throws a UserError where a file is in the way of one that will be written: `exp.overwrite` replaces plain files only. */
export function checkFile(option: string, file: string, overwrite: boolean, pass: string): void {
  const refuse = refusal(option, file, pass);
  if (!refuse(() => lstatSync(file, { throwIfNoEntry: false }))) return;
  const found = refuse(() => statSync(file, { throwIfNoEntry: false }));
  if (found && !found.isFile())
    throw new UserError(
      `${option}: ${file} is ${found.isDirectory() ? "a folder" : "no plain file"}; pass ${pass}`,
    );
  if (!overwrite)
    throw new UserError(`${option}: ${file} is there; pass exp.overwrite=true to replace it, or ${pass}`);
}

/** Turns errors of the file system into a line for the user. */
const refusal =
  (option: string, place: string, pass: string) =>
  <T>(work: () => T): T => {
    try {
      return work();
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new UserError(`${option}: ${place} cannot be written (${code}); pass ${pass}`, { cause: error });
    }
  };

/** The place itself where something is there, else the nearest above it. */
function nearestOf(place: string): string {
  const parent = path.dirname(place);
  return parent === place || isThere(place) ? place : nearestOf(parent);
}

/** Also a link that leads nowhere is. */
function isThere(place: string): boolean {
  try {
    return lstatSync(place, { throwIfNoEntry: false }) !== undefined;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOTDIR") return false; // a file on the way
    throw error;
  }
}
