import { build, type Metafile } from "esbuild";
import path from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, it } from "vitest";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const root = path.join(import.meta.dirname, "../..");

/** An entry as a page would load it: one file, nothing left outside. */
async function bundle(entry: string): Promise<{ meta: Metafile; file: string }> {
  const file = path.join(temporaryFolder(), "bundle.mjs");
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [entry],
    outfile: file,
    bundle: true,
    format: "esm",
    target: "es2023",
    platform: "browser",
    packages: "bundle",
    metafile: true,
    logLevel: "silent",
  });
  return { meta: metafile, file };
}

describe.each([
  ["src/tensor/index.ts", ["Engine", "openDevice", "conv2d", "matmul"]],
  ["src/nn/index.ts", ["UNet", "Adam", "ParameterSet", "parseHeader"]],
  ["src/deft/index.ts", ["HTransform", "deftLoss", "sampleDdim", "superResolution", "resolveConfig"]],
])("%s in a browser", (entry, names) => {
  it("holds no Node module and no npm package, and evaluates", async () => {
    const { meta, file } = await bundle(entry);
    const inputs = Object.keys(meta.inputs);
    expect(inputs).toContain(entry);
    expect(inputs.filter((input) => !/^src\/(gpu|kernels|tensor|nn|deft)\//.test(input))).toEqual([]);
    const imports = [...Object.values(meta.inputs), ...Object.values(meta.outputs)].flatMap((f) => f.imports);
    expect(imports.filter((i) => i.external || i.kind !== "import-statement")).toEqual([]);
    const loaded = (await import(pathToFileURL(file).href)) as Record<string, unknown>;
    for (const name of names) expect(loaded[name], name).toBeTypeOf("function");
  });
});

describe("the bundle test", () => {
  it("would notice a Node module", async () => {
    await expect(bundle("src/io/image-folder.ts")).rejects.toThrow(/node:/);
  });
});
