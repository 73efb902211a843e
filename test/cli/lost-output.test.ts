// Standard output that cannot be written, in a process of its own.
import { closeSync, existsSync, openSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { errorsOf, runProgram } from "../helpers/program.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

/** Runs the program with its standard output on a disk that is full. */
async function runOnFull(cwd: string, words: readonly string[]) {
  const full = openSync("/dev/full", "w");
  try {
    return await runProgram(cwd, words, full);
  } finally {
    closeSync(full);
  }
}

describe.skipIf(!existsSync("/dev/full"))("standard output on a full disk", () => {
  it("is said in a line", async () => {
    const ran = await runOnFull(process.cwd(), ["info"]);
    expect(errorsOf(ran)).toEqual([
      "deft: standard output: cannot be written (ENOSPC); make room there, or send it to another place",
    ]);
    expect(ran.status).toBe(1);
  });

  it("stops a training in order", async () => {
    const cwd = temporaryFolder();
    const ran = await runOnFull(cwd, ["train", "exp.name=it", "algo.finetune_args.max_steps=1000"]);
    expect(errorsOf(ran)).toEqual([
      expect.stringMatching(/^deft: standard output: cannot be written \(ENOSPC\)/),
      expect.stringMatching(
        /^deft: stopped at step \d+, saved; go on with: deft train --resume exp\.name=it$/,
      ),
    ]);
    expect(ran.status).toBe(1);
    expect(existsSync(path.join(cwd, "outputs/model_ckpts/it/checkpoint.safetensors"))).toBe(true);
  });
});
