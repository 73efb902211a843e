// Places that cannot be written are refused in a line before any work, by the option that names them, and nothing is left there.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { pretrain } from "../../src/cli/commands/pretrain.ts";
import { checkFile, checkFolder } from "../../src/cli/output-place.ts";
import { checkOut } from "../../src/cli/pretrain-run.ts";
import { resolvePretraining } from "../../src/cli/resolve-run.ts";
import { UserError } from "../../src/deft/errors.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);
const inProc = "/proc/no-such-folder";

beforeAll(() => {
  writeFileSync(at("file"), "mine");
  symlinkSync(at("nowhere"), at("dangling"));
  mkdirSync(at("free"));
  mkdirSync(at("locked"));
  chmodSync(at("locked"), 0o555);
});

describe("checkFolder", () => {
  const check = (place: string) => () => checkFolder("--out", place, "another folder");

  it("takes a folder, and one that is not there yet; leaves nothing behind", () => {
    for (const place of [at("free"), at("free", "a", "b"), path.relative(".", at("free", "c"))])
      check(place)();
    expect(readdirSync(at("free"))).toEqual([]);
  });

  it("refuses files and links to nothing", () => {
    expect(check(at("file", "a", "b"))).toThrow(
      new UserError(`--out: ${at("file")} is a file, not a folder; pass another folder`),
    );
    for (const place of [at("dangling"), at("dangling", "a")])
      expect(check(place)).toThrow(
        `--out: ${at("dangling")} is a link to nothing, not a folder; pass another folder`,
      );
  });

  it.skipIf(!existsSync("/proc/self"))("refuses a file system that lets nobody make anything", () => {
    expect(check(inProc)).toThrow(
      /^--out: \/proc\/no-such-folder cannot be written \(E[A-Z]+\); pass another folder$/,
    );
  });

  it.skipIf(process.getuid?.() === 0)("refuses a folder of others", () => {
    expect(check(at("locked", "a"))).toThrow(
      `${at("locked", "a")} cannot be written (EACCES); pass another folder`,
    );
  });
});

describe("checkFile", () => {
  const check = (name: string, overwrite: boolean) => () =>
    checkFile("--out", at(name), overwrite, "another");

  it("has plain files replaced only if asked, anything else never", () => {
    for (const overwrite of [false, true]) check("none", overwrite)();
    check("file", true)();
    for (const name of ["file", "dangling"])
      expect(check(name, false)).toThrow(
        `--out: ${at(name)} is there; pass exp.overwrite=true to replace it, or another`,
      );
    expect(check("free", true)).toThrow(`--out: ${at("free")} is a folder; pass another`);
    expect(() => checkFile("--out", "/dev/null", true, "another")).toThrow(
      "--out: /dev/null is no plain file; pass another",
    );
  });
});

describe("pretrain.out", () => {
  const resolve = async (...words: string[]) =>
    (await resolvePretraining([`exp.root=${at("runs")}`, "model=phantoms", ...words])).config;

  it("is refused before any work", async () => {
    const refused = (out: string) =>
      expect(pretrain([`exp.root=${at("runs")}`, `pretrain.out=${out}`])).rejects;
    await refused(at("file")).toThrow(`pretrain.out: ${at("file")} is there; pass exp.overwrite=true`);
    await refused(at("free")).toThrow(`pretrain.out: ${at("free")} is a folder`);
    await refused(at("file", "prior.safetensors")).toThrow(
      `pretrain.out: ${at("file")} is a file, not a folder`,
    );
    await refused(at("dangling", "prior.safetensors")).toThrow("is a link to nothing, not a folder");
    expect(readFileSync(at("file"), "utf8")).toBe("mine");
    expect(existsSync(at("runs"))).toBe(false);
  });

  it("may be replaced by the run that wrote it", async () => {
    const own = await resolve(`pretrain.out=${at("file")}`);
    const [other, asked] = [
      await resolve(`pretrain.out=${at("free", "p")}`),
      await resolve(`pretrain.out=${at("file")}`, "exp.overwrite=true"),
    ];
    checkOut(own, own);
    checkOut(asked, null);
    for (const stored of [other, await resolve(), null])
      expect(() => checkOut(own, stored)).toThrow("is there; pass exp.overwrite=true");
  });
});
