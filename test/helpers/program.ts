// The command line in a process of its own, since its commands end the process.
import { spawnSync, type SpawnSyncReturns } from "node:child_process";
import path from "node:path";
import { build } from "esbuild";
import { testGpu } from "./gpu.ts";

const file = path.resolve("node_modules/.cache/deft-tests/deft.mjs");
const built = build({
  ...({ bundle: true, format: "esm", platform: "node", packages: "external" } as const),
  ...{ entryPoints: ["src/cli/main.ts"], outfile: file },
});

/** Runs `deft WORDS` on the adapter of the tests. `stdout`: an open file for its standard output. */
export async function runProgram(
  cwd: string,
  words: readonly string[],
  stdout: "pipe" | number = "pipe",
): Promise<SpawnSyncReturns<string>> {
  await built;
  const { kind } = await testGpu();
  return spawnSync(process.execPath, [file, ...words, "--adapter", kind], {
    ...{ cwd, encoding: "utf8" as const, timeout: 120_000 },
    stdio: ["ignore", stdout, "pipe"],
  });
}

/** The lines that a run has left on stderr, without those of the driver. */
export const errorsOf = ({ stderr }: SpawnSyncReturns<string>): string[] =>
  stderr.split("\n").filter((line) => line !== "" && !line.startsWith("Warning: max"));
