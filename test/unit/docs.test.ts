// What the documents promise: the two commands, files that exist, code that compiles and runs.
import { build } from "esbuild";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { pathToFileURL } from "node:url";
import ts from "typescript";
import { afterEach, describe, expect, it, vi } from "vitest";
import { testAdapter } from "../helpers/gpu.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const root = path.join(import.meta.dirname, "../..");
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const documents = [
  ...["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "assets/README.md"],
  ...readdirSync(path.join(root, "docs"))
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

/** The fenced blocks of one language, in order. */
function blocks(text: string, language: string): string[] {
  return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
    .filter(([, name]) => name === language)
    .map(([, , code]) => code ?? "");
}

describe("README.md", () => {
  it("opens with the main job and the tests", () => {
    const [main, tests] = blocks(read("README.md"), "bash");
    expect(main).toBe("npm ci && npm run build && node dist/deft.js train\n");
    expect(tests).toBe("npm ci && npm test\n");
  });
});

describe.each(documents)("%s", (document) => {
  const prose = read(document).replace(/^```[\s\S]*?^```/gm, "");

  it("names files that exist", () => {
    const folders = /^(src|shaders|test|bench|scripts|docs|assets|\.ci)\//;
    const files = /^(package|tsconfig|eslint\.config|vitest\.config)\S*\.(json|js|ts)$/;
    const named = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code]) => code ?? "");
    const paths = named.filter((code) => folders.test(code) || files.test(code));
    expect(paths.filter((file) => !existsSync(path.join(root, file)))).toEqual([]);
  });

  it("links to files that exist, pictures among them", () => {
    const targets = [...prose.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)].map(([, target]) => target ?? "");
    const own = targets.filter((target) => !/^\w+:/.test(target));
    const folder = path.dirname(path.join(root, document));
    expect(own.filter((target) => !existsSync(path.join(folder, target)))).toEqual([]);
  });
});

/** The entries of package.json by the names that users import. */
const entries = {
  "deft-webgpu/nn": path.join(root, "src/nn/index.ts"),
  "deft-webgpu/deft": path.join(root, "src/deft/index.ts"),
  "deft-webgpu/node": path.join(root, "src/cli/node.ts"),
  "deft-webgpu": path.join(root, "src/tensor/index.ts"),
};

describe("the TypeScript in README.md", () => {
  const snippets = blocks(read("README.md"), "ts");

  it("type-checks against the public entries", () => {
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(path.join(root, "tsconfig.json"), ts.sys.readFile).config,
      ts.sys,
      root,
    );
    options.noUnusedLocals = false;
    options.types = ["@webgpu/types"]; // Node's own would be half of the work
    options.paths = Object.fromEntries(Object.entries(entries).map(([name, file]) => [name, [file]]));
    const host = ts.createCompilerHost(options);
    const files = new Map(snippets.map((code, i) => [path.join(root, `readme-${i}.ts`), code]));
    const { fileExists, readFile } = host;
    host.fileExists = (file) => files.has(file) || fileExists(file);
    host.readFile = (file) => files.get(file) ?? readFile(file);
    const program = ts.createProgram([...files.keys()], options, host);
    const problems = [...files.keys()].flatMap((file) => [
      ...program.getSyntacticDiagnostics(program.getSourceFile(file)),
      ...program.getSemanticDiagnostics(program.getSourceFile(file)),
    ]);
    expect(snippets.length).toBeGreaterThan(0);
    expect(problems.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, "\n"))).toEqual([]);
  });

  afterEach(() => {
    vi.unstubAllGlobals();
    vi.restoreAllMocks();
  });

  it("runs: the first example restores what the measurement tells", async () => {
    const file = path.join(temporaryFolder(), "readme.mjs");
    await build({
      stdin: { contents: snippets[0] ?? "", loader: "ts", resolveDir: root },
      outfile: file,
      bundle: true,
      format: "esm",
      target: "es2023",
      platform: "browser",
      alias: entries,
      logLevel: "silent",
    });
    vi.stubGlobal("navigator", { gpu: { requestAdapter: testAdapter } });
    const log = vi.spyOn(console, "log").mockImplementation(() => undefined);
    await import(pathToFileURL(file).href);
    const psnr = Number(/PSNR (\S+) dB/.exec(String(log.mock.calls[0]?.[0]))?.[1]);
    expect(psnr).toBeGreaterThan(15);
  });
});
