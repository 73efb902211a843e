import { mkdtempSync } from "node:fs";
import path from "node:path";

/** A new empty folder, removed when the tests end. */
export function temporaryFolder(): string {
  const root = process.env["DEFT_TEST_FOLDER"];
  if (root === undefined) throw new Error("DEFT_TEST_FOLDER: set by test/helpers/global-setup.ts");
  return mkdtempSync(path.join(root, "it-"));
}
