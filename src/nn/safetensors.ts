import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "./dtype-bits.ts";
import { CheckpointError } from "./errors.ts";
import { parseStrictJson, quoted, type JsonValue } from "./strict-json.ts";

/** Bytes an element, by the names that safetensors gives the types. */
export const BYTES = {
  F64: 8,
  F32: 4,
  F16: 2,
  BF16: 2,
  I64: 8,
  I32: 4,
  I16: 2,
  I8: 1,
  U64: 8,
  U32: 4,
  U16: 2,
  U8: 1,
  BOOL: 1,
} as const;

export type SafetensorsDtype = keyof typeof BYTES;

/** Elements as stored: F16 and BF16 as their 16 bits, BOOL as bytes 0 and 1. */
export type RawTensor =
  | Float64Array<ArrayBuffer>
  | Float32Array<ArrayBuffer>
  | Uint16Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Int16Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>
  | BigUint64Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

export interface TensorInfo {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  /** Where the elements begin, counted from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

export interface SafetensorsHeader {
  /** In the order of their places in the file. */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  readonly metadata: ReadonlyMap<string, string>;
}

/** As in the reference implementation: what claims a longer header is no weight file. */
export const MAX_HEADER_BYTES = 100_000_000;

/** More axes than array libraries have and more tensors than networks: a lying header must not fill the memory. */
const LIMITS = { depth: 3, arrayLength: 64, objectSize: 200_000 };

/** Bytes that isSafetensors looks at. */
export const SAFETENSORS_START = 9;

/** Whether a file may be safetensors by its first bytes: the header is a JSON object that begins right after its length. */
export const isSafetensors = (first: Uint8Array): boolean => first[8] === 0x7b;

/** Length of the header in bytes from the file's first 8. Throws CheckpointError where it cannot be one. */
export function headerLength(first8: Uint8Array, fileSize: number): number {
  if (first8.length < 8)
    throw new CheckpointError(`safetensors: the file has ${fileSize} bytes; expected 8 or more`);
  const claimed = new DataView(first8.buffer, first8.byteOffset, 8).getBigUint64(0, true);
  const most = BigInt(Math.min(MAX_HEADER_BYTES, fileSize - 8));
  if (claimed < 2n || claimed > most) {
    throw new CheckpointError(`safetensors: header of ${claimed} bytes claimed; expected 2 to ${most}`);
  }
  return Number(claimed);
}

/**
 * The table of tensors from the header's bytes (without the 8 before). The file is taken as hostile: types,
 * integers, products, names given twice, gaps, overlaps and bytes left over are checked against the file's
 * size. Throws CheckpointError.
 */
export function parseHeader(header: Uint8Array, fileSize: number): SafetensorsHeader {
  const dataStart = 8 + header.length;
  let root: JsonValue;
  try {
    root = parseStrictJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(header), LIMITS);
  } catch (error) {
    const reason = error instanceof SyntaxError ? error.message : "not UTF-8";
    throw new CheckpointError(`safetensors: the header is no valid JSON: ${reason}`, { cause: error });
  }
  if (!(root instanceof Map)) throw new CheckpointError("safetensors: the header is no JSON object");
  const metadata = parseMetadata(root.get("__metadata__"));
  root.delete("__metadata__");
  const entries = [...root].map(([name, value]) => [name, parseEntry(name, value, dataStart)] as const);
  entries.sort(([, a], [, b]) => a.offset - b.offset || a.bytes - b.bytes);
  let end = dataStart;
  for (const [name, { offset, bytes }] of entries) {
    if (offset !== end) {
      const fact = offset < end ? "overlaps the one before" : `leaves ${offset - end} bytes unused before it`;
      throw new CheckpointError(`safetensors: tensor ${quoted(name)} ${fact}`);
    }
    end = offset + bytes;
  }
  if (end !== fileSize) {
    throw new CheckpointError(`safetensors: the tensors end at byte ${end}; the file has ${fileSize} bytes`);
  }
  return { tensors: new Map(entries), metadata };
}

function parseEntry(name: string, value: JsonValue, dataStart: number): TensorInfo {
  const wrong = (fact: string): CheckpointError =>
    new CheckpointError(`safetensors: tensor ${quoted(name)}: ${fact}`);
  if (!(value instanceof Map)) throw wrong("no JSON object");
  for (const key of value.keys()) {
    if (!["dtype", "shape", "data_offsets"].includes(key)) throw wrong(`unknown field ${quoted(key)}`);
  }
  const [dtype, shape, offsets] = [value.get("dtype"), value.get("shape"), value.get("data_offsets")];
  if (!isDtype(dtype)) {
    throw wrong(`dtype is none of ${Object.keys(BYTES).join(", ")}`);
  }
  if (!isSizes(shape)) throw wrong("shape is no array of integers from 0 on");
  if (!isSizes(offsets) || offsets.length !== 2) throw wrong("data_offsets are no two integers from 0 on");
  const [begin, end] = offsets as [number, number];
  // Each partial product is checked: past 2^53 a product may round to what the offsets claim.
  let bytes: number = BYTES[dtype];
  for (const size of shape) {
    bytes *= size;
    if (!Number.isSafeInteger(bytes)) throw wrong(`shape [${shape.join(", ")}] is too large`);
  }
  if (end - begin !== bytes) {
    throw wrong(`${dtype} [${shape.join(", ")}] takes ${bytes} bytes; data_offsets give ${begin} to ${end}`);
  }
  return { dtype, shape, offset: dataStart + begin, bytes };
}

function parseMetadata(value: JsonValue | undefined): Map<string, string> {
  const metadata = new Map<string, string>();
  if (value === undefined) return metadata;
  if (!(value instanceof Map)) throw new CheckpointError("safetensors: __metadata__ is no JSON object");
  for (const [key, text] of value) {
    if (typeof text !== "string")
      throw new CheckpointError(`safetensors: __metadata__ ${quoted(key)} is no text`);
    metadata.set(key, text);
  }
  return metadata;
}

function isDtype(value: JsonValue | undefined): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(BYTES, value);
}

function isSizes(value: JsonValue | undefined): value is number[] {
  return Array.isArray(value) && value.every((size) => Number.isSafeInteger(size) && (size as number) >= 0);
}

/** What a writer declares before the elements. */
export interface TensorDeclaration {
  readonly name: string;
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
}

/**
 * The bytes before the elements (length and header, padded to a multiple of 8), and the tensors in the order
 * in which their elements must follow: wider types first, so that each is aligned, else as given.
 */
export function encodeHeader<T extends TensorDeclaration>(
  tensors: readonly T[],
  metadata: Readonly<Record<string, string>> = {},
): { bytes: Uint8Array<ArrayBuffer>; order: T[] } {
  const order = [...tensors].sort((a, b) => BYTES[b.dtype] - BYTES[a.dtype]);
  const fields: [string, unknown][] = [];
  if (Object.keys(metadata).length > 0) fields.push(["__metadata__", metadata]);
  const names = new Set(["__metadata__"]);
  let end = 0;
  for (const { name, dtype, shape } of order) {
    if (names.has(name)) throw new CheckpointError(`safetensors: tensor ${quoted(name)} given twice`);
    names.add(name);
    const begin = end;
    end += tensorBytes(dtype, shape);
    fields.push([name, { dtype, shape, data_offsets: [begin, end] }]);
  }
  // Written pair by pair: an object literal would lose the name __proto__ and reorder names like "0".
  const json = `{${fields.map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`).join(",")}}`;
  const text = new TextEncoder().encode(json);
  const length = Math.ceil(text.length / 8) * 8;
  const bytes = new Uint8Array(8 + length).fill(0x20);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(length), true);
  bytes.set(text, 8);
  return { bytes, order };
}

/** Bytes of a tensor's elements. */
export function tensorBytes(dtype: SafetensorsDtype, shape: readonly number[]): number {
  return shape.reduce((product, size) => product * size, BYTES[dtype]);
}

/** Views little-endian bytes, aligned to their type, as elements. */
export function viewRaw(
  dtype: SafetensorsDtype,
  { buffer, byteOffset, byteLength }: Uint8Array<ArrayBuffer>,
): RawTensor {
  const n = byteLength / BYTES[dtype];
  switch (dtype) {
    case "F64":
      return new Float64Array(buffer, byteOffset, n);
    case "F32":
      return new Float32Array(buffer, byteOffset, n);
    case "F16":
    case "BF16":
    case "U16":
      return new Uint16Array(buffer, byteOffset, n);
    case "I64":
      return new BigInt64Array(buffer, byteOffset, n);
    case "I32":
      return new Int32Array(buffer, byteOffset, n);
    case "I16":
      return new Int16Array(buffer, byteOffset, n);
    case "I8":
      return new Int8Array(buffer, byteOffset, n);
    case "U64":
      return new BigUint64Array(buffer, byteOffset, n);
    case "U32":
      return new Uint32Array(buffer, byteOffset, n);
    case "U8":
    case "BOOL":
      return new Uint8Array(buffer, byteOffset, n);
  }
}

/** Elements as float32, rounded to the nearest where the type holds more. F32 is returned as it is. */
export function toF32(dtype: SafetensorsDtype, raw: RawTensor): Float32Array<ArrayBuffer> {
  if (raw instanceof Float32Array) return raw;
  if (dtype === "F16") return f16ToF32(raw as Uint16Array);
  if (dtype === "BF16") return bf16ToF32(raw as Uint16Array);
  if (raw instanceof BigInt64Array || raw instanceof BigUint64Array) return Float32Array.from(raw, Number);
  return Float32Array.from(raw);
}

/** float32 -> the elements of F32 (as they are), F16 or BF16, to the nearest, ties to even. */
export function fromF32(dtype: "F32" | "F16" | "BF16", values: Float32Array<ArrayBuffer>): RawTensor {
  if (dtype === "F32") return values;
  return dtype === "F16" ? f32ToF16(values) : f32ToBf16(values);
}
