/** Decoded pixels, RGB interleaved from the top row down. */
export interface Bitmap {
  readonly width: number;
  readonly height: number;
  readonly data: Uint8Array;
}

const MAX_PIXELS = 1 << 28;

/** Whether the bytes open like a Windows bitmap, which sharp does not read. */
export function isBmp(bytes: Uint8Array): boolean {
  return bytes[0] === 0x42 && bytes[1] === 0x4d;
}

/**
 * Uncompressed Windows bitmap of 8 (palette), 24 or 32 bits a pixel -> RGB; rows are padded to 4 bytes and
 * stored from the bottom up unless the height is negative. The fourth byte of 32 bits is not alpha here:
 * most writers leave it 0. Throws Error on anything else.
 */
export function decodeBmp(bytes: Uint8Array): Bitmap {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length < 54) throw new Error("bitmap header cut short");
  const offset = view.getUint32(10, true);
  const headerSize = view.getUint32(14, true);
  const width = view.getInt32(18, true);
  const signedHeight = view.getInt32(22, true);
  const bits = view.getUint16(28, true);
  const compression = view.getUint32(30, true);
  const height = Math.abs(signedHeight);
  if (headerSize < 40 || width <= 0 || height === 0 || width * height > MAX_PIXELS) {
    throw new Error(`bitmap of ${width}x${height} with a header of ${headerSize} bytes`);
  }
  // Compression 3 is plain pixels behind colour masks; the usual masks give the same order as none.
  const plain = compression === 0 || (compression === 3 && bits === 32);
  if (!plain || ![8, 24, 32].includes(bits)) {
    throw new Error(`bitmap with compression ${compression} and ${bits} bits a pixel`);
  }
  const stride = Math.ceil((width * bits) / 32) * 4;
  if (offset + stride * height > bytes.length) throw new Error("bitmap pixels cut short");
  const palette = bits === 8 ? bytes.subarray(14 + headerSize, offset) : undefined;
  const out = new Uint8Array(width * height * 3);
  for (let y = 0, o = 0; y < height; y++) {
    let i = offset + (signedHeight > 0 ? height - 1 - y : y) * stride;
    for (let x = 0; x < width; x++, o += 3, i += bits / 8) {
      const source = palette ?? bytes;
      const p = palette ? bytes[i]! * 4 : i;
      out[o] = source[p + 2]!;
      out[o + 1] = source[p + 1]!;
      out[o + 2] = source[p]!;
    }
  }
  return { width, height, data: out };
}
