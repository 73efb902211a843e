import { open, type FileHandle } from "node:fs/promises";
import { UserError } from "../deft/errors.ts";
import type { ByteSource } from "../nn/byte-source.ts";
import { CheckpointError } from "../nn/errors.ts";
import {
  encodeHeader,
  fromF32,
  headerLength,
  isSafetensors,
  parseHeader,
  SAFETENSORS_START,
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
import { isTorch, parseTorch, readTorch, TORCH_START } from "../nn/torch-file.ts";
import { allTensors, plainValues, weightTable } from "../nn/torch-tables.ts";
import { writeAside } from "./write-aside.ts";

/** An open weight file; tensors are read from the disk one at a time. Close it. */
export interface WeightFile {
  /** In the order of their places in the file (safetensors) or as they were saved (PyTorch). */
  readonly names: readonly string[];
  /** Of a PyTorch file: the plain values beside its tables, as texts or JSON. */
  readonly metadata: ReadonlyMap<string, string>;
  info(name: string): Stored;
  /** The elements as stored, in row-major order. */
  read(name: string): Promise<RawTensor>;
  /** The elements as float32. */
  readF32(name: string): Promise<Float32Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export type Stored = Pick<TensorInfo, "dtype" | "shape" | "bytes">;

/** What a format gives; the rest of a WeightFile is the same for all. */
interface Contents {
  readonly tensors: ReadonlyMap<string, Stored & { read(): Promise<RawTensor> }>;
  readonly metadata: ReadonlyMap<string, string>;
}

export interface OpenOptions {
  /** All tensors of a PyTorch file under their full names, not only those of its table of weights (weightTable). */
  readonly all?: boolean;
  /** The option that named the file, for messages. */
  readonly option?: string;
}

const EXPECTED = "pass the path of a .safetensors file or of one that torch.save wrote";

/**
 * Opens a safetensors or PyTorch file (zip or legacy), told apart by their first bytes, and checks it against its size. Nothing
 * in it is executed. Throws UserError, which names the option and the file.
 */
export async function openWeights(
  file: string,
  { all = false, option }: OpenOptions = {},
): Promise<WeightFile> {
  const what = option === undefined ? file : `${option}: ${file}`;
  let handle: FileHandle;
  try {
    handle = await open(file, "r");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const fact = code === "ENOENT" ? "no such file" : `cannot be opened (${code})`;
    throw new UserError(`${what}: ${fact}; ${EXPECTED}`, { cause: error });
  }
  try {
    const info = await handle.stat();
    if (!info.isFile()) throw new UserError(`${what}: not a file; ${EXPECTED}`);
    const source = fileSource(handle, info.size);
    const first = await source.read(0, Math.min(Math.max(TORCH_START, SAFETENSORS_START), source.size));
    if (!isTorch(first) && !isSafetensors(first))
      throw new UserError(`${what}: not a weight file; expected safetensors or what torch.save wrote`);
    const contents = isTorch(first) ? await torchContents(source, all) : await safetensorsContents(source);
    return weightFile(what, handle, contents);
  } catch (error) {
    await handle.close();
    if (error instanceof CheckpointError) throw new UserError(`${what}: ${error.message}`, { cause: error });
    if (error instanceof UserError) throw error;
    throw new UserError(`${what}: cannot be read; got ${String(error)}`, { cause: error });
  }
}

async function safetensorsContents(source: ByteSource): Promise<Contents> {
  const length = headerLength(await source.read(0, Math.min(8, source.size)), source.size);
  const { tensors, metadata } = parseHeader(await source.read(8, length), source.size);
  const readable = [...tensors].map(([name, info]) => {
    const read = async () => viewRaw(info.dtype, await source.read(info.offset, info.bytes));
    return [name, { ...info, read }] as const;
  });
  return { tensors: new Map(readable), metadata };
}

async function torchContents(source: ByteSource, all: boolean): Promise<Contents> {
  const parsed = await parseTorch(source);
  const chosen = all ? allTensors(parsed.root, source.size) : weightTable(parsed.root, source.size);
  const readable = [...chosen].map(([name, tensor]) => {
    const { shape, storage } = tensor;
    const stored = { dtype: storage.dtype, shape, bytes: tensorBytes(storage.dtype, shape) };
    return [name, { ...stored, read: () => readTorch(source, parsed, tensor) }] as const;
  });
  return { tensors: new Map(readable), metadata: plainValues(parsed.root) };
}

function weightFile(what: string, handle: FileHandle, { tensors, metadata }: Contents): WeightFile {
  const info = (name: string) => {
    const found = tensors.get(name);
    if (!found) throw new UserError(`${what}: no tensor ${quoted(name)}; deft inspect lists what it holds`);
    return found;
  };
  return {
    names: [...tensors.keys()],
    metadata,
    info,
    read: (name) => info(name).read(),
    readF32: async (name) => toF32(info(name).dtype, await info(name).read()),
    close: () => handle.close(),
  };
}

/** A file's tensors as float32, as loadWeights takes them. */
export function weightSource(file: WeightFile): WeightSource {
  return { names: file.names, shape: (name) => file.info(name).shape, read: (name) => file.readF32(name) };
}

const fileSource = (handle: FileHandle, size: number): ByteSource => ({
  size,
  read: (position, length) => readBytes(handle, position, length),
});

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
