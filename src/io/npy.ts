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

const MAX_SIDE = 16384;

/** Readers of NumPy's types of number, without the byte order. */
const types: Readonly<Record<string, (view: DataView, at: number, little: boolean) => number>> = {
  f4: (view, at, little) => view.getFloat32(at, little),
  f8: (view, at, little) => view.getFloat64(at, little),
  i2: (view, at, little) => view.getInt16(at, little),
  u2: (view, at, little) => view.getUint16(at, little),
  i4: (view, at, little) => view.getInt32(at, little),
};

/**
 * The numbers of an array of two axes (others being 1), row by row: f4, f8, i2, u2 or i4 in either byte order, rows or columns first.
 * Throws Error with what is wrong.
 */
export function matrixOf({ descr, fortranOrder, shape, bytes }: NpyArray): {
  values: Float32Array<ArrayBuffer>;
  width: number;
  height: number;
} {
  const sizes = shape.length === 2 ? shape : shape.filter((size) => size !== 1);
  const [height = 1, width = 1] = sizes;
  if (
    sizes.length > 2 ||
    shape.length < 2 ||
    !(height >= 1 && width >= 1) ||
    Math.max(height, width) > MAX_SIDE
  )
    throw new Error(`an array of shape [${shape.join(",")}]; expected [h,w]`);
  const [, order = "", type = ""] = /^([<>|=])(\w+)$/.exec(descr) ?? [];
  const get = types[type];
  if (!get || order === "|")
    throw new Error(`an array of type ${descr}; expected one of ${Object.keys(types).join(", ")}`);
  const unit = Number(type.slice(1));
  if (bytes.length !== width * height * unit)
    throw new Error(`${bytes.length} bytes of data; expected ${width * height * unit}`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const values = new Float32Array(width * height);
  for (let y = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      values[y * width + x] = get(
        view,
        unit * (fortranOrder ? x * height + y : y * width + x),
        order !== ">",
      );
  return { values, width, height };
}
