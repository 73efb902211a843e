// `deft info` in a process of its own, since the command ends its process.
import { spawnSync } from "node:child_process";
import path from "node:path";
import { build } from "esbuild";
import { expect, test } from "vitest";
import { info } from "../../src/cli/commands/info.ts";
import { UserError } from "../../src/deft/errors.ts";
import { testGpu } from "../helpers/gpu.ts";

const program = path.resolve("node_modules/.cache/deft-tests/info.mjs");

test("prints the adapter, what it offers, and versions, and the process ends", async () => {
  const contents = `import { info } from "./src/cli/commands/info.ts"; await info(process.argv.slice(2));`;
  const common = { bundle: true, format: "esm", platform: "node", packages: "external" } as const;
  await build({ ...common, stdin: { contents, resolveDir: "." }, outfile: program });
  const { adapter, kind, name } = await testGpu();
  const ran = spawnSync(process.execPath, [program, "--adapter", kind], {
    encoding: "utf8",
    timeout: 20_000,
  });
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
