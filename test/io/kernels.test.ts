import { writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { checkKernel } from "../../src/deft/operators/blur.ts";
import { writePng } from "../../src/io/images.ts";
import { readKernel } from "../../src/io/kernels.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const root = temporaryFolder();

function npyFile(name: string, shape: number[], values: number[]): string {
  const text = `{'descr': '<f8', 'fortran_order': False, 'shape': (${shape.join(", ")}), }\n`;
  const head = Buffer.from([0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, text.length & 255, text.length >> 8]);
  const file = path.join(root, name);
  writeFileSync(
    file,
    Buffer.concat([head, Buffer.from(text, "latin1"), Buffer.from(Float64Array.from(values).buffer)]),
  );
  return file;
}

describe("readKernel", () => {
  it("reads an array of two axes as it is", async () => {
    const kernel = await readKernel(npyFile("k.npy", [1, 3], [0.25, 0.5, 0.25]));
    expect(kernel).toEqual({ values: Float32Array.of(0.25, 0.5, 0.25), height: 1, width: 3 });
    const dark = await readKernel(npyFile("dark.npy", [1, 3], [0.25, 0.25, 0.25]));
    expect(() => checkKernel(dark)).toThrow("blur: the kernel's values sum to 0.75; expected 1");
  });

  it("divides a picture's grey levels by their sum", async () => {
    const file = path.join(root, "k.png");
    await writePng(file, { data: Float32Array.of(-1, 1, 1, -1, 1, 1), channels: 1, height: 2, width: 3 });
    const kernel = await readKernel(file);
    expect([kernel.height, kernel.width]).toEqual([2, 3]);
    [0, 0.25, 0.25, 0, 0.25, 0.25].forEach((v, i) => expect(kernel.values[i]).toBeCloseTo(v, 6));
  });

  it("names what cannot be read", async () => {
    await expect(
      readKernel(npyFile("three.npy", [1, 2, 2, 2], new Array<number>(8).fill(1))),
    ).rejects.toThrow(
      /kernel_filename: .*three\.npy: not a kernel that can be read; got an array of shape \[1,2,2,2\]/,
    );
    const black = path.join(root, "black.png");
    await writePng(black, { data: new Float32Array(4).fill(-1), channels: 1, height: 2, width: 2 });
    await expect(readKernel(black)).rejects.toThrow("the picture is black");
  });
});
