/** An array as NumPy stores it, elements not converted. */
export interface NpyArray {
  /** NumPy's type string, such as "|u1" or "<f4". */
  readonly descr: string;
  readonly fortranOrder: boolean;
  readonly shape: readonly number[];
  /** The elements' bytes, from the end of the header on. */
  readonly bytes: Uint8Array;
}

/**
 * The NPY format, versions 1 to 3 (NumPy enhancement proposal 1): magic, version, header length, a Python
 * dictionary of three keys, then the elements. Throws Error with what is wrong.
 */
export function parseNpy(file: Uint8Array): NpyArray {
  const magic = [0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59];
  if (file.length < 12 || magic.some((byte, i) => file[i] !== byte)) throw new Error("not an .npy array");
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  const long = file[6]! > 1;
  const start = long ? 12 : 10;
  const end = start + (long ? view.getUint32(8, true) : view.getUint16(8, true));
  if (end > file.length) throw new Error("the array's header is cut short");
  const header = new TextDecoder("latin1").decode(file.subarray(start, end));
  const descr = /'descr':\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order':\s*(True|False)/.exec(header)?.[1];
  const sizes = /'shape':\s*\(([\d\s,]*)\)/.exec(header)?.[1];
  if (descr === undefined || order === undefined || sizes === undefined) {
    throw new Error("the array's header names no descr, fortran_order and shape");
  }
  const shape = sizes.split(",").flatMap((size) => (size.trim() === "" ? [] : [Number(size)]));
  return { descr, fortranOrder: order === "True", shape, bytes: file.subarray(end) };
}
