import { open, type FileHandle } from "node:fs/promises";
import { UserError } from "../deft/errors.ts";
import { CheckpointError } from "../nn/errors.ts";
import {
  encodeHeader,
  fromF32,
  headerLength,
  parseHeader,
  tensorBytes,
  toF32,
  viewRaw,
  type RawTensor,
  type SafetensorsDtype,
  type TensorDeclaration,
  type TensorInfo,
} from "../nn/safetensors.ts";
import type { WeightSource } from "../nn/state.ts";
import { quoted } from "../nn/strict-json.ts";
import { writeAside } from "./write-aside.ts";

/** An open safetensors file; tensors are read from the disk one at a time. Close it. */
export interface WeightFile {
  /** In the order of their places in the file. */
  readonly names: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  info(name: string): TensorInfo;
  /** The elements as stored. */
  read(name: string): Promise<RawTensor>;
  /** The elements as float32. */
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

/** Opens a safetensors file and checks its header against its size. Throws UserError, which names the file. */
export async function openWeights(file: string): Promise<WeightFile> {
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const fact = code === "ENOENT" ? "no such file" : `cannot be opened (${code})`;
    throw new UserError(`${file}: ${fact}; pass the path of a .safetensors file`, { cause: error });
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new UserError(`${file}: not a file; pass the path of a .safetensors file`);
    const length = headerLength(await readBytes(handle, 0, Math.min(8, info.size)), info.size);
    const { tensors, metadata } = parseHeader(await readBytes(handle, 8, length), info.size);
    return weightFile(file, handle, tensors, metadata);
  } catch (error) {
    await handle.close();
    if (error instanceof CheckpointError) throw new UserError(`${file}: ${error.message}`, { cause: error });
    if (error instanceof UserError) throw error;
    throw new UserError(`${file}: cannot be read; got ${String(error)}`, { cause: error });
  }
}

function weightFile(
  file: string,
  handle: FileHandle,
  tensors: ReadonlyMap<string, TensorInfo>,
  metadata: ReadonlyMap<string, string>,
): WeightFile {
  const info = (name: string): TensorInfo => {
    const found = tensors.get(name);
    if (!found) throw new UserError(`${file}: no tensor ${quoted(name)}; deft inspect lists what it holds`);
    return found;
  };
  const read = async (name: string): Promise<RawTensor> => {
    const { dtype, offset, bytes } = info(name);
    return viewRaw(dtype, await readBytes(handle, offset, bytes));
  };
  return {
    names: [...tensors.keys()],
    metadata,
    info,
    read,
    readF32: async (name) => toF32(info(name).dtype, await read(name)),
    close: () => handle.close(),
  };
}

/** A file's tensors as float32, as loadWeights takes them. */
export function weightSource(file: WeightFile): WeightSource {
  return { names: file.names, shape: (name) => file.info(name).shape, read: (name) => file.readF32(name) };
}

/** Bytes from `position` on, in a buffer of their own; an error where the file ends before. */
async function readBytes(
  handle: FileHandle,
  position: number,
  length: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  // One read call moves at most 2 GiB.
  const step = 2 ** 30;
  for (let done = 0; done < length;) {
    const { bytesRead } = await handle.read(bytes, done, Math.min(step, length - done), position + done);
    if (bytesRead === 0) throw new Error(`the file ended at byte ${position + done}`);
    done += bytesRead;
  }
  return bytes;
}

/** One tensor to write. Float32Array data is rounded to the dtype where that is F16 or BF16. */
export interface WeightEntry extends TensorDeclaration {
  readonly dtype: SafetensorsDtype;
  /** The elements, or a function that is asked for them when their turn comes. */
  readonly data: RawTensor | (() => RawTensor | Promise<RawTensor>);
}

/**
 * Writes a safetensors file tensor by tensor, aside and renamed over the old one. Throws CheckpointError
 * where data and declaration disagree; the old file stays then.
 */
export async function writeWeights(
  file: string,
  entries: readonly WeightEntry[],
  metadata: Readonly<Record<string, string>> = {},
): Promise<void> {
  const { bytes, order } = encodeHeader(entries, metadata);
  await writeAside(file, async (handle) => {
    await handle.writeFile(bytes);
    for (const entry of order) {
      const { name, dtype, shape, data } = entry;
      const raw = asStored(dtype, typeof data === "function" ? await data() : data);
      if (raw.byteLength !== tensorBytes(dtype, shape)) {
        const given = `${raw.byteLength} bytes given for ${dtype} [${shape.join(", ")}]`;
        throw new CheckpointError(`safetensors: tensor ${quoted(name)}: ${given}`);
      }
      await handle.writeFile(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength));
    }
  });
}

function asStored(dtype: SafetensorsDtype, data: RawTensor): RawTensor {
  const rounds = data instanceof Float32Array && (dtype === "F16" || dtype === "BF16");
  return rounds ? fromF32(dtype, data) : data;
}
