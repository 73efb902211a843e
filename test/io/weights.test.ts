import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { describe, expect, it } from "vitest";
import { UserError } from "../../src/deft/errors.ts";
import { CheckpointError } from "../../src/nn/errors.ts";
import { openWeights, weightSource, writeWeights } from "../../src/io/weights.ts";
import { temporaryFolder } from "../helpers/temporary-folder.ts";

const folder = temporaryFolder();
const file = path.join(folder, "deep", "w.safetensors");

describe("writeWeights and openWeights", () => {
  it("round trip, tensor by tensor", async () => {
    const order: string[] = [];
    const values = Float32Array.of(1, -2.5, 3.1, 1e-7, 65504, 0);
    await writeWeights(
      file,
      [
        { name: "half", dtype: "F16", shape: [3, 2], data: values },
        { name: "brain", dtype: "BF16", shape: [6], data: () => (order.push("brain"), values) },
        { name: "step", dtype: "I64", shape: [], data: new BigInt64Array([2n ** 60n]) },
        {
          name: "full",
          dtype: "F32",
          shape: [2, 3],
          data: () => Promise.resolve((order.push("full"), values)),
        },
        { name: "empty", dtype: "F32", shape: [0], data: new Float32Array(0) },
        { name: "part", dtype: "F32", shape: [2], data: values.subarray(2, 4) },
      ],
      { kind: "test" },
    );
    expect(order).toEqual(["full", "brain"]);
    const weights = await openWeights(file);
    expect(weights.names).toEqual(["step", "full", "empty", "part", "half", "brain"]);
    expect([...weights.metadata]).toEqual([["kind", "test"]]);
    expect(weights.info("half")).toMatchObject({ dtype: "F16", shape: [3, 2], bytes: 12 });
    expect(await weights.readF32("full")).toEqual(values);
    expect(await weights.readF32("part")).toEqual(values.slice(2, 4));
    expect(await weights.readF32("empty")).toEqual(new Float32Array(0));
    expect(await weights.read("step")).toEqual(new BigInt64Array([2n ** 60n]));
    const [half, brain] = [await weights.readF32("half"), await weights.readF32("brain")];
    values.forEach((value, i) => {
      expect(Math.abs(half[i]! - value)).toBeLessThanOrEqual(Math.max(2 ** -11 * Math.abs(value), 2 ** -25));
      expect(Math.abs(brain[i]! - value)).toBeLessThanOrEqual(2 ** -8 * Math.abs(value));
    });
    const source = weightSource(weights);
    expect(source.shape("full")).toEqual([2, 3]);
    expect(await source.read("full")).toEqual(values);
    expect(() => weights.info("none")).toThrow(UserError);
    await weights.close();
  });

  it("keeps the old file and leaves nothing aside when writing fails", async () => {
    const before = readFileSync(file);
    const wrong = { name: "a", dtype: "F32", shape: [3], data: new Float32Array(2) } as const;
    await expect(writeWeights(file, [wrong])).rejects.toThrow(CheckpointError);
    const failing = { ...wrong, data: () => Promise.reject(new Error("gone")) };
    await expect(writeWeights(file, [failing])).rejects.toThrow("gone");
    expect(readFileSync(file).equals(before)).toBe(true);
    expect(readdirSync(path.dirname(file))).toEqual(["w.safetensors"]);
  });

  it("says what is no weight file, with the option that named it", async () => {
    const other = path.join(folder, "photo.jpg");
    const claims = Buffer.concat([Buffer.from(new BigUint64Array([1n << 40n]).buffer), Buffer.from("{}")]);
    for (const bytes of ["", "\xff\xd8\xff\xe0\0\x10JFIF\0\x01", "\x93NUMPY\x01\0v\0{'descr'"]) {
      writeFileSync(other, bytes, "latin1");
      await expect(openWeights(other, { option: "model.ckpt_path" })).rejects.toThrow(
        `model.ckpt_path: ${other}: not a weight file; expected safetensors or what torch.save wrote`,
      );
    }
    // One that begins as safetensors but lies is told as such.
    writeFileSync(other, claims);
    await expect(openWeights(other)).rejects.toThrow(`${other}: safetensors: header of 1099511627776 bytes`);
  });

  it("names a file that cannot be used", async () => {
    const cut = path.join(folder, "cut.safetensors");
    writeFileSync(cut, readFileSync(file).subarray(0, -1));
    for (const bad of [cut, folder, path.join(folder, "none.safetensors")]) {
      const failure: unknown = await openWeights(bad).catch((error: unknown) => error);
      expect(failure).toBeInstanceOf(UserError);
      expect((failure as Error).message).toContain(bad);
      expect((failure as Error).message).not.toContain("\n");
    }
  });
});
