import { homedir } from "node:os";
import path from "node:path";

/** Where what can be made again is kept: $XDG_CACHE_HOME/deft, else ~/.cache/deft. Not created here. */
export function cacheFolder(): string {
  return path.join(process.env.XDG_CACHE_HOME || path.join(homedir(), ".cache"), "deft");
}
