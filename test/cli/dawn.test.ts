// Adapters from the outside: each case starts processes of its own, since a process keeps the Vulkan it has loaded.
import { spawn } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import path from "node:path";
import { build } from "esbuild";
import { beforeAll, describe, expect, test } from "vitest";
import { adapterChoice } from "../../src/cli/dawn.ts";
import { installedLavapipe } from "../../src/cli/vulkan.ts";
import { UserError } from "../../src/deft/errors.ts";
import { testAdapter } from "../helpers/gpu.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const program = path.resolve("node_modules/.cache/deft-tests/open-gpu.mjs");
const folder = temporaryFolder();
const cache = path.join(folder, "cache");
const squares = Array.from({ length: 64 }, (_, i) => i * i);

interface Report {
  kind: string;
  line: string;
  squares: number[];
  drivers: string | null;
  at: number;
}

interface Ended {
  code: number | null;
  err: string;
  report: Report | undefined;
  /** Milliseconds from the program's last line to the end of its process. */
  lingered: number;
}

/** Runs test/helpers/open-gpu.ts with only these variables of Vulkan and DEFT set. */
function openInChild(choice: string | undefined, variables: Record<string, string> = {}): Promise<Ended> {
  const env: NodeJS.ProcessEnv = { ...process.env, XDG_CACHE_HOME: cache };
  for (const name of ["VK_DRIVER_FILES", "VK_ICD_FILENAMES", "DEFT_ADAPTER"]) delete env[name];
  const child = spawn(process.execPath, choice === undefined ? [program] : [program, choice], {
    env: { ...env, ...variables },
  });
  let out = "";
  let err = "";
  child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on("data", (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      const json = out.split("\n").find((line) => line.startsWith("{"));
      const report = json === undefined ? undefined : (JSON.parse(json) as Report);
      resolve({ code, err, report, lingered: report ? Date.now() - report.at : Number.NaN });
    });
  });
}

function expectWorking(ended: Ended, kind: string): void {
  expect(ended.code, ended.err).toBe(0);
  expect(ended.report?.kind).toBe(kind);
  expect(ended.report?.squares).toEqual(squares);
  expect(ended.lingered).toBeLessThan(5000);
}

function expectRefused(ended: Ended, message: RegExp): void {
  expect(ended.report).toBeUndefined();
  expect(ended.code).toBe(1);
  expect(ended.err).toMatch(message);
}

beforeAll(async () => {
  const common = { bundle: true, format: "esm", platform: "node", packages: "external" } as const;
  await build({ ...common, entryPoints: ["test/helpers/open-gpu.ts"], outfile: program });
});

describe("the choice", () => {
  test("names are checked, and the flag wins over DEFT_ADAPTER", () => {
    const before = process.env.DEFT_ADAPTER;
    try {
      process.env.DEFT_ADAPTER = "cuda";
      expect(() => adapterChoice()).toThrow(UserError);
      expect(() => adapterChoice()).toThrow(/DEFT_ADAPTER.*"cuda".*auto, hardware, lavapipe, swiftshader/);
      expect(() => adapterChoice("gpu")).toThrow(/--adapter.*"gpu".*auto, hardware, lavapipe, swiftshader/);
      expect(() => adapterChoice("")).toThrow(UserError);
      expect(adapterChoice("hardware")).toBe("hardware");
      process.env.DEFT_ADAPTER = "lavapipe";
      expect(adapterChoice()).toBe("lavapipe");
      process.env.DEFT_ADAPTER = "";
      expect(adapterChoice()).toBe("auto");
    } finally {
      if (before === undefined) delete process.env.DEFT_ADAPTER;
      else process.env.DEFT_ADAPTER = before;
    }
  });

  test("a wrong name ends the program before Dawn is loaded", async () => {
    expectRefused(
      await openInChild("swift"),
      /^deft: --adapter: no such adapter; got "swift"; expected one of .*\n$/,
    );
  });

  test("one process opens several devices on the test adapter", async () => {
    const devices = [
      await (await testAdapter()).requestDevice(),
      await (await testAdapter()).requestDevice(),
    ];
    for (const device of devices) {
      device.createBuffer({ size: 16, usage: GPUBufferUsage.STORAGE }).destroy();
      device.destroy();
    }
  });
});

describe.runIf(process.platform === "linux" && process.arch === "x64")("the embedded SwiftShader", () => {
  const unpacked = path.join(cache, "deft-webgpu");
  const manifest = (): string => {
    const [version] = readdirSync(unpacked);
    return path.join(unpacked, version ?? "", "vk_swiftshader_icd.json");
  };

  test("forced, two processes from an empty cache, then one from the full cache", async () => {
    const both = await Promise.all([openInChild("swiftshader"), openInChild("swiftshader")]);
    for (const ended of both) expectWorking(ended, "swiftshader");
    expect(both[0]?.report?.line).toMatch(/^adapter: SwiftShader.*forced/);
    expect(both[0]?.report?.drivers).toBeNull();
    expect(readdirSync(unpacked)).toEqual([expect.stringMatching(/^swiftshader-[\d.]+$/)]);
    const written = statSync(manifest()).mtimeMs;
    expectWorking(await openInChild(undefined, { DEFT_ADAPTER: "swiftshader" }), "swiftshader");
    expect(statSync(manifest()).mtimeMs).toBe(written);
  });

  test("a damaged cache folder is unpacked anew", async () => {
    rmSync(path.join(path.dirname(manifest()), "libvk_swiftshader.so"));
    expectWorking(await openInChild("swiftshader"), "swiftshader");
    expect(readdirSync(unpacked)).toHaveLength(1);
  });

  test("auto takes it when the variables are set but empty", async () => {
    const both = await Promise.all([
      openInChild(undefined, { VK_DRIVER_FILES: "", VK_ICD_FILENAMES: "" }),
      openInChild("auto", { VK_ICD_FILENAMES: "" }),
    ]);
    for (const ended of both) {
      expectWorking(ended, "swiftshader");
      expect(ended.report?.line).toContain("VK_DRIVER_FILES is set but empty");
    }
  });

  test("works without a Vulkan loader on the system", async () => {
    const broken = path.join(folder, "no-loader");
    mkdirSync(broken);
    writeFileSync(path.join(broken, "libvulkan.so.1"), "");
    expectWorking(await openInChild("swiftshader", { LD_LIBRARY_PATH: broken }), "swiftshader");
  });

  test("drivers that the user names are honoured, and a forced kind is not replaced", async () => {
    const variables = { VK_DRIVER_FILES: manifest() };
    const [auto, hardware, lavapipe] = await Promise.all([
      openInChild("auto", variables),
      openInChild("hardware", variables),
      openInChild("lavapipe", { VK_DRIVER_FILES: "" }),
    ]);
    expectWorking(auto, "swiftshader");
    expect(auto.report?.line).toContain("the drivers that VK_DRIVER_FILES names");
    expect(auto.report?.drivers).toBe(manifest());
    expectRefused(
      hardware,
      /deft: adapter hardware: not available; got SwiftShader.*; install .* --adapter auto/,
    );
    expectRefused(lavapipe, /deft: adapter lavapipe: .*VK_DRIVER_FILES set but empty.*--adapter swiftshader/);
  });

  test("a lavapipe that Dawn refuses is named with its version and the fix", async () => {
    const config = path.join(folder, "config");
    const old = path.join(config, "vulkan", "icd.d", "lvp_icd.x86_64.json");
    mkdirSync(path.dirname(old), { recursive: true });
    const ICD = { api_version: "1.1.230", library_path: "/nowhere/libvulkan_lvp.so" };
    writeFileSync(old, JSON.stringify({ file_format_version: "1.0.0", ICD }));
    const before = process.env.XDG_CONFIG_HOME;
    process.env.XDG_CONFIG_HOME = config;
    const listed = installedLavapipe();
    if (before === undefined) delete process.env.XDG_CONFIG_HOME;
    else process.env.XDG_CONFIG_HOME = before;
    expect(listed[0]).toBe(old);
    const [forced, auto] = await Promise.all([
      openInChild("lavapipe", { VK_DRIVER_FILES: old }),
      openInChild("auto", { VK_DRIVER_FILES: old }),
    ]);
    expectRefused(forced, /lvp_icd\.x86_64\.json \(Vulkan 1\.1\.230; .*22\.3 .*25\.0.*bookworm-backports/);
    expectRefused(auto, /lvp_icd\.x86_64\.json \(Vulkan 1\.1\.230; .*unset VK_DRIVER_FILES/);
  });
});
