import { existsSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import path from "node:path";
import { expect, it } from "vitest";
import { makeFolder } from "../../src/io/make-folder.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const at = (...names: string[]): string => path.join(folder, ...names);
const codeOf = (place: string): string | undefined => {
  try {
    makeFolder(place);
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
};

it("makes a folder with those above it, and takes what is there", () => {
  for (let i = 0; i < 2; i++) makeFolder(at("a", "b", "c"));
  expect(statSync(at("a", "b", "c")).isDirectory()).toBe(true);
  symlinkSync(at("a"), at("link"));
  makeFolder(at("link", "d"));
  expect(existsSync(at("a", "d"))).toBe(true);
});

it("ends with the system's error where a file or a link to nothing is in the way", () => {
  writeFileSync(at("file"), "");
  symlinkSync(at("nowhere"), at("dangling"));
  expect(codeOf(at("file"))).toBe("EEXIST");
  expect(codeOf(at("file", "x", "y"))).toBe("ENOTDIR");
  expect(codeOf(at("dangling", "x"))).toBe("EEXIST");
  expect(existsSync(at("nowhere"))).toBe(false);
});

it.skipIf(!existsSync("/proc/self"))("ends where a file system lets nobody make any", () => {
  expect(codeOf("/proc/no-such-folder/x")).toMatch(/^(ENOENT|EACCES|EPERM)$/);
});
