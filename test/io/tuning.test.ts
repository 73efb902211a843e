import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { mergeTuning, readTuning, writeTuning } from "../../src/io/tuning.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const file = path.join(folder, "table.json");
const table = (variants: Record<string, string>) => ({
  source: file,
  adapter: "llvmpipe: Mesa 25",
  variants: new Map(Object.entries(variants)),
});

describe("a tuning table", () => {
  it("reads back as it was written, its problems in order, and leaves nothing beside it", async () => {
    await writeTuning(table({ "conv2d forward 1x1 n4": "base", adam: "run" }));
    expect(await readTuning(file)).toEqual(table({ adam: "run", "conv2d forward 1x1 n4": "base" }));
    expect(readFileSync(file, "utf8")).toBe(
      '{\n  "adapter": "llvmpipe: Mesa 25",\n  "variants": {\n    "adam": "run",\n    "conv2d forward 1x1 n4": "base"\n  }\n}\n',
    );
    expect(readdirSync(folder)).toEqual(["table.json"]);
  });

  it("takes in what was measured now and keeps its other problems", () => {
    const before = table({ a: "base", b: "run", c: "base" });
    const after = mergeTuning(before, new Map([["a", "run"], ["b", null], ["d", "base"], ["e", null]])); // prettier-ignore
    expect(after).toEqual(table({ a: "run", c: "base", d: "base" }));
    expect(before.variants.size).toBe(3);
  });

  it("is refused where it is none, in one line that names the file", async () => {
    const good = '{"adapter": "a", "variants": {';
    for (const text of [
      "",
      "[]",
      "null",
      '{"adapter": "a"}',
      '{"adapter": 1, "variants": {}}',
      '{"adapter": "a", "variants": []}',
      '{"adapter": "a", "variants": {}, "more": 1}',
      '{"adapter": "a", "adapter": "b", "variants": {}}',
      `${good}"adam": "run", "adam": "base"}}`,
      `${good}"adam": 1}}`,
      `${good}"adam": "Run it"}}`,
      `${good}"adam": ""}}`,
      `${good}"__proto__ ": "run"}}`,
      `${good}"adam\\u0000": "run"}}`,
      `${good}"adam ${"x".repeat(200)}": "run"}}`,
      `${good}"adam": {"a": {}}}}`,
      `${good}"adam": "run"}} x`,
      `{"adapter": "a", "variants": {${" ".repeat(2 ** 20)}}}`,
      `${good}${Array.from({ length: 5000 }, (_, i) => `"adam ${i}": "run"`).join(",")}}}`,
    ]) {
      writeFileSync(file, text);
      const error = await readTuning(file).catch((e: unknown) => e);
      expect(error, text.slice(0, 80)).toBeInstanceOf(UserError);
      expect((error as Error).message).toMatch(
        /^[^\n]*table\.json: no tuning table; [^\n]*bench -- --tune[^\n]*$/,
      );
    }
    mkdirSync(path.join(folder, "folder"));
    await expect(readTuning(path.join(folder, "folder"))).rejects.toThrow(/no tuning table; EISDIR/);
    await expect(readTuning(path.join(folder, "absent.json"))).rejects.toThrow(/no tuning table; ENOENT/);
  });
});
