/** A file as the parsers of weights see it: its size, and bytes from a position on. Nothing is read as a whole. */
export interface ByteSource {
  readonly size: number;
  /** A buffer of its own with exactly these bytes; an error where the file ends before. */
  read(position: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
}
