// Where npm put a package, and its version.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";

export interface PackageInfo {
  readonly folder: string;
  readonly version: string;
}

const here = fileURLToPath(import.meta.url);

/** The installed npm package `name`, undefined where npm left it out (an optional one on another system). */
export function findPackage(name: string): PackageInfo | undefined {
  try {
    return packageAbove(createRequire(here).resolve(name), name);
  } catch {
    return undefined;
  }
}

/** This project's own package, from the sources as from dist/. */
export function ownPackage(): PackageInfo {
  const own = packageAbove(here, "deft-webgpu");
  if (!own) throw new Error(`${here}: no package.json of deft-webgpu above it`);
  return own;
}

function packageAbove(file: string, name: string): PackageInfo | undefined {
  for (let folder = path.dirname(file); folder !== path.dirname(folder); folder = path.dirname(folder)) {
    const found = readPackage(folder);
    if (found?.name === name) return { folder, version: found.version ?? "unknown" };
  }
  return undefined;
}

function readPackage(folder: string): { name?: string; version?: string } | undefined {
  try {
    return JSON.parse(readFileSync(path.join(folder, "package.json"), "utf8")) as { name?: string };
  } catch {
    return undefined; // most folders on the way up hold none
  }
}
