// Prints the adapter before the first test; without one the whole run fails here. Keeps the tests' folders in one, which it removes.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { testGpu } from "./gpu.ts";

export async function setup(): Promise<() => void> {
  console.log((await testGpu()).line);
  const folder = mkdtempSync(path.join(tmpdir(), "deft-tests-"));
  process.env["DEFT_TEST_FOLDER"] = folder;
  return () => rmSync(folder, { recursive: true, force: true });
}
