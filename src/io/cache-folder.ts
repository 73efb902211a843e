import { homedir } from "node:os";
import path from "node:path";

/** Where what can be made again is kept: deft-webgpu in $XDG_CACHE_HOME, else in ~/.cache. Not created here. */
export function cacheFolder(): string {
  const xdg = process.env.XDG_CACHE_HOME ?? "";
  // The XDG base directory specification has relative paths ignored.
  return path.join(path.isAbsolute(xdg) ? xdg : path.join(homedir(), ".cache"), "deft-webgpu");
}
