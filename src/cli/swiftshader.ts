// The embedded SwiftShader: a software Vulkan driver and a Vulkan loader out of the npm package
// @sparticuz/chromium (Linux x64), unpacked once into the user's cache folder.
import { existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { brotliDecompressSync } from "node:zlib";
import { UserError } from "../deft/errors.ts";
import { makeFolder } from "../io/make-folder.ts";
import { findPackage } from "./packages.ts";

export interface SwiftShader {
  /** Path of the driver's manifest, for VK_DRIVER_FILES. */
  readonly driver: string;
  /** Path of the Vulkan loader that comes with it, for systems without one. */
  readonly loader: string;
}

const archivePackage = "@sparticuz/chromium";
const driverFile = "vk_swiftshader_icd.json";
const loaderFile = "libvulkan.so.1";
const files = [driverFile, loaderFile, "libvk_swiftshader.so"];

/** What stands against the embedded SwiftShader on this system, undefined when nothing does. */
export function swiftshaderMissing(): string | undefined {
  const system = `${process.platform} ${process.arch}`;
  if (system !== "linux x64") return `the embedded SwiftShader is for Linux x64 only; this is ${system}`;
  const lacking = [archivePackage, "koffi"].filter((name) => !findPackage(name));
  if (lacking.length === 0) return undefined;
  return `${lacking.join(" and ")} not installed; run npm install --include=optional`;
}

/**
 * The unpacked SwiftShader, in deft-webgpu/swiftshader-<version> of XDG_CACHE_HOME or ~/.cache. Several processes
 * may start together: each writes its own folder aside and renames it; the first one stays. Throws UserError.
 */
export function unpackSwiftshader(): SwiftShader {
  const source = findPackage(archivePackage);
  if (!source) throw new UserError(`adapter swiftshader: ${swiftshaderMissing() ?? "nothing to unpack"}`);
  const xdg = process.env.XDG_CACHE_HOME ?? "";
  const cache = path.join(path.isAbsolute(xdg) ? xdg : path.join(os.homedir(), ".cache"), "deft-webgpu");
  const folder = path.join(cache, `swiftshader-${source.version}`);
  if (!isComplete(folder)) {
    try {
      unpackAside(path.join(source.folder, "bin", "swiftshader.tar.br"), cache, folder);
    } catch (error) {
      throw new UserError(
        `adapter swiftshader: cannot be unpacked to ${folder}: ${error instanceof Error ? error.message : String(error)}; ` +
          "set XDG_CACHE_HOME to a folder that can be written, or reinstall with npm ci",
      );
    }
  }
  return { driver: path.join(folder, driverFile), loader: path.join(folder, loaderFile) };
}

function isComplete(folder: string): boolean {
  return files.every((name) => existsSync(path.join(folder, name)));
}

function unpackAside(archive: string, cache: string, folder: string): void {
  const entries = readTar(brotliDecompressSync(readFileSync(archive)));
  makeFolder(cache);
  const aside = mkdtempSync(`${folder}.`);
  try {
    for (const name of files) {
      const data = entries.get(name);
      if (!data) throw new Error(`${archive} holds no ${name}`);
      writeFileSync(path.join(aside, name), data, { mode: 0o755 });
    }
    if (existsSync(folder) && !isComplete(folder)) rmSync(folder, { recursive: true, force: true });
    renameSync(aside, folder);
  } catch (error) {
    rmSync(aside, { recursive: true, force: true });
    if (!isComplete(folder)) throw error; // complete: another process was first
  }
}

/** The plain files of a ustar archive, by name. Format: POSIX.1-1988, 512-byte blocks, sizes in octal. */
function readTar(tar: Uint8Array): Map<string, Uint8Array> {
  const text = (from: number, length: number): string =>
    Buffer.from(tar.subarray(from, from + length))
      .toString("latin1")
      .replace(/\0.*$/s, "");
  const entries = new Map<string, Uint8Array>();
  let at = 0;
  while (at + 512 <= tar.length && tar[at] !== 0) {
    const size = parseInt(text(at + 124, 12), 8);
    const type = text(at + 156, 1);
    if (!(at + 512 + size <= tar.length)) throw new Error(`the archive ends inside ${text(at, 100)}`);
    if (type === "0" || type === "") entries.set(text(at, 100), tar.subarray(at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  return entries;
}
