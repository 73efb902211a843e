// Builds dist/: the command line (deft.js), the golden runner (golden.js) and the library entries (lib/), from TypeScript by esbuild.
import { build } from "esbuild";
import { readFileSync } from "node:fs";

const { dependencies, optionalDependencies } = JSON.parse(readFileSync("package.json", "utf8"));
const external = Object.keys({ ...dependencies, ...optionalDependencies });
const common = { bundle: true, format: "esm", target: "es2023", sourcemap: true, logLevel: "warning" };
await build({
  ...common,
  entryPoints: { deft: "src/cli/main.ts", golden: "test/golden/runner/main.ts" },
  outdir: "dist",
  platform: "node",
  splitting: true, // commands are loaded when called: Dawn only where a GPU is used
  chunkNames: "chunks/[name]-[hash]",
  external,
  banner: { js: "#!/usr/bin/env node" },
});
await build({
  ...common,
  entryPoints: { index: "src/tensor/index.ts", nn: "src/nn/index.ts", deft: "src/deft/index.ts" },
  outdir: "dist/lib",
  platform: "browser",
  splitting: true, // the three share one tensor layer
  chunkNames: "chunks/[name]-[hash]",
});
await build({
  ...common,
  entryPoints: { node: "src/cli/node.ts" },
  outdir: "dist/lib",
  platform: "node",
  external,
});
