// `deft info` in a process of its own, since the command ends its process.
import { expect, test } from "vitest";
import { info } from "../../src/cli/commands/info.ts";
import { UserError } from "../../src/deft/errors.ts";
import { testGpu } from "../helpers/gpu.ts";
import { runProgram } from "../helpers/program.ts";

test("prints the adapter, what it offers, and versions, and the process ends", async () => {
  const { adapter, name } = await testGpu();
  const ran = await runProgram(process.cwd(), ["info"]);
  expect(ran.status, ran.stderr).toBe(0);
  const lines = ran.stdout.split("\n").filter((line) => !/^(Warning|\s|$)/.test(line));
  expect(lines[0]).toContain(`adapter: ${name} (`);
  const rows = new Map(lines.map((line) => [line.split(": ")[0], line.split(": ").slice(1).join(": ")]));
  expect(rows.get("features")).toBe([...adapter.features].sort().join(", "));
  expect(rows.get("maxStorageBufferBindingSize")).toBe(String(adapter.limits.maxStorageBufferBindingSize));
  expect(rows.get("subgroup size")).toMatch(/^\d+ to \d+$/);
  expect(rows.get("node")).toContain(process.version);
  expect(rows.get("webgpu (Dawn)")).toMatch(/^\d+\.\d+\.\d+$/);
  expect(rows.get("deft-webgpu")).toMatch(/^\d+\.\d+\.\d+$/);
});

test("wrong words and wrong names are refused before Dawn is loaded", async () => {
  await expect(info(["--adapter", "cuda"])).rejects.toThrow(/--adapter.*"cuda".*swiftshader/);
  for (const args of [["--adaptr=x"], ["extra"], ["--adapter"]])
    await expect(info(args)).rejects.toThrow(UserError);
});
