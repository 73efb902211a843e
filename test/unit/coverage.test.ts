import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import "../../src/tensor/index.ts";
import { defined } from "../../src/kernels/kernel.ts";
import { registry } from "../../src/tensor/op.ts";

const root = path.join(import.meta.dirname, "../..");
const tests = readdirSync(path.join(root, "test/ops"))
  .filter((name) => name.endsWith(".test.ts"))
  .map((name) => ({ name, text: readFileSync(path.join(root, "test/ops", name), "utf8") }));

describe("every op", () => {
  it.each([...registry].sort())("%s has a test that names it", (op) => {
    const word = new RegExp(`\\b${op}\\b`);
    const naming = tests.filter(({ text }) => word.test(text)).map(({ name }) => name);
    expect(naming, `no file of test/ops names ${op}`).not.toEqual([]);
  });
});

describe("every shader", () => {
  const files = readdirSync(path.join(root, "shaders")).filter((name) => name.endsWith(".wgsl"));
  it.each(files.sort())("%s has a kernel for each entry point", (file) => {
    const text = readFileSync(path.join(root, "shaders", file), "utf8");
    const included = [...text.matchAll(/^\/\/!include (\S+)/gm)].map((m) =>
      readFileSync(path.join(root, "shaders", m[1] as string), "utf8"),
    );
    const source = [text, ...included].join("\n").replace(/\/\/.*$/gm, "");
    const entries = [...source.matchAll(/@compute\s+(?:@\w+\([^)]*\)\s*)*fn\s+(\w+)/g)].map((m) => m[1]);
    const launched = defined.filter((d) => `${d.shader.name}.wgsl` === file).map((d) => d.entry.name);
    expect(entries).not.toEqual([]);
    expect([...new Set(launched)].sort()).toEqual(entries.sort());
  });
});
