// A machine for pickles that computes data and nothing else: no name is looked up, no code runs.
import { CheckpointError } from "./errors.ts";
import { OPCODES, REFUSED } from "./pickle-opcodes.ts";
import { quoted } from "./strict-json.ts";

/** What a pickle may hold beside plain data: whatever the rules make. */
export abstract class Made {}

/** A name that the pickle calls, such as `torch._utils._rebuild_tensor_v2`; it is compared and never looked up. */
export class Global extends Made {
  readonly name: string;
  constructor(name: string) {
    super();
    this.name = name;
  }
}

/** A tuple is a frozen array, a list one that is not, a dict a map. */
export type Pickled = null | boolean | number | bigint | string | readonly Pickled[] | PickledMap | Made;
export type PickledMap = Map<string | number, Pickled>;

/** What the names and the persistent ids of a pickle mean. Each throws CheckpointError for what it does not know. */
export interface PickleRules {
  /** Refuses a name that has no meaning here, as soon as it is mentioned. */
  checkGlobal(name: string): void;
  /** The value of `name(...args)`. */
  call(name: string, args: readonly Pickled[]): Pickled;
  /** `object.__setstate__(state)`, in place. */
  setState(object: Pickled, state: Pickled): void;
  /** The object that a persistent id stands for. */
  load(id: Pickled): Pickled;
}

/** The bytes end inside the pickle. */
export class PickleEnd extends CheckpointError {
  constructor() {
    super("pickle: ends before its STOP");
  }
}

/**
 * The value of the pickle that begins at `start` (protocols 2 to 5, the opcodes of OPCODES), and where it ends. Every length
 * is checked against the bytes before anything is taken, and the opcodes are counted, so memory is bounded. Throws CheckpointError.
 */
export function unpickle(
  bytes: Uint8Array,
  start: number,
  rules: PickleRules,
): { readonly value: Pickled; readonly end: number } {
  return new Machine(bytes, start, rules).run();
}

/** A tensor takes about 40 opcodes; a byte that makes a dict takes hundreds of times its size in memory. */
const MAX_STEPS = 4_000_000;

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

class Machine {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #rules: PickleRules;
  #at: number;
  readonly #stack: Pickled[] = [];
  readonly #marks: number[] = [];
  readonly #memo = new Map<number, Pickled>();

  constructor(bytes: Uint8Array, start: number, rules: PickleRules) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#at = start;
    this.#rules = rules;
  }

  run(): { value: Pickled; end: number } {
    for (let step = 0; ; step++) {
      if (step === MAX_STEPS)
        throw new CheckpointError(
          `pickle: more than ${MAX_STEPS} opcodes; save the state dict alone with torch.save`,
        );
      const at = this.#take(1);
      const code = this.#bytes[at] as number;
      const name = OPCODES[code];
      if (name === undefined) throw refusal(code, at);
      if (name === "STOP") return { value: this.#pop(), end: this.#at };
      this[name]();
    }
  }

  /** Passes over n bytes; the place of the first. */
  #take(n: number): number {
    const at = this.#at;
    if (n > this.#bytes.length - at) throw new PickleEnd();
    this.#at += n;
    return at;
  }

  readonly #u8 = (): number => this.#view.getUint8(this.#take(1));
  readonly #u32 = (): number => this.#view.getUint32(this.#take(4), true);
  readonly #u64 = (): number => Number(this.#view.getBigUint64(this.#take(8), true));

  #text(length: number): string {
    const at = this.#take(length);
    try {
      return utf8.decode(this.#bytes.subarray(at, at + length));
    } catch (error) {
      throw new CheckpointError(`pickle: the text at byte ${at} is not UTF-8`, { cause: error });
    }
  }

  #line(): string {
    const end = this.#bytes.indexOf(10, this.#at);
    if (end < 0) throw new PickleEnd();
    const text = this.#text(end - this.#at);
    this.#at++;
    return text;
  }

  #push(value: Pickled): void {
    this.#stack.push(value);
  }

  #pop(): Pickled {
    const value = this.#stack.length > (this.#marks.at(-1) ?? 0) ? this.#stack.pop() : undefined;
    if (value === undefined) throw this.#wrong("takes a value that is not there");
    return value;
  }

  /** What lies above the last mark. */
  #popMark(): Pickled[] {
    const mark = this.#marks.pop();
    if (mark === undefined) throw this.#wrong("takes a mark that is not there");
    return this.#stack.splice(mark);
  }

  #top(): Pickled {
    const value = this.#pop();
    this.#push(value);
    return value;
  }

  #wrong(fact: string): CheckpointError {
    return new CheckpointError(`pickle: the opcode before byte ${this.#at} ${fact}`);
  }

  #tuple(n: number): void {
    const items = Array.from({ length: n }, () => this.#pop()).reverse();
    this.#push(Object.freeze(items));
  }

  #global(module: Pickled, name: Pickled): void {
    if (typeof module !== "string" || typeof name !== "string")
      throw this.#wrong("names something by no texts");
    const full = `${module}.${name}`;
    this.#rules.checkGlobal(full);
    this.#push(new Global(full));
  }

  #setItems(items: readonly Pickled[]): void {
    const map = this.#top();
    if (!(map instanceof Map) || items.length % 2 === 1) throw this.#wrong("sets items of no dict");
    for (let i = 0; i < items.length; i += 2) setItem(map, items[i] as Pickled, items[i + 1] as Pickled);
  }

  #append(items: readonly Pickled[]): void {
    const list = this.#top();
    if (!Array.isArray(list) || Object.isFrozen(list)) throw this.#wrong("appends to no list");
    for (const item of items) (list as Pickled[]).push(item);
  }

  #remember(index: number): void {
    this.#memo.set(index, this.#top());
  }

  #recall(index: number): void {
    const value = this.#memo.get(index);
    if (value === undefined) throw this.#wrong(`asks for memo ${index}, which was never kept`);
    this.#push(value);
  }

  // The opcodes.

  PROTO(): void {
    const version = this.#u8();
    if (version < 2 || version > 5)
      throw new CheckpointError(
        `pickle: protocol ${version}; expected 2 to 5; save the file again with torch.save`,
      );
  }
  FRAME(): void {
    if (this.#u64() > this.#bytes.length - this.#at) throw new PickleEnd();
  }
  MARK(): void {
    this.#marks.push(this.#stack.length);
  }
  NONE(): void {
    this.#push(null);
  }
  NEWTRUE(): void {
    this.#push(true);
  }
  NEWFALSE(): void {
    this.#push(false);
  }
  BININT(): void {
    this.#push(this.#view.getInt32(this.#take(4), true));
  }
  BININT1(): void {
    this.#push(this.#u8());
  }
  BININT2(): void {
    this.#push(this.#view.getUint16(this.#take(2), true));
  }
  LONG1(): void {
    const length = this.#u8();
    const at = this.#take(length);
    let value = 0n;
    for (let i = length - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[at + i] as number);
    value = BigInt.asIntN(8 * length, value);
    const plain = Number(value);
    this.#push(Number.isSafeInteger(plain) ? plain : value);
  }
  BINFLOAT(): void {
    this.#push(this.#view.getFloat64(this.#take(8), false));
  }
  BINUNICODE(): void {
    this.#push(this.#text(this.#u32()));
  }
  SHORT_BINUNICODE(): void {
    this.#push(this.#text(this.#u8()));
  }
  BINUNICODE8(): void {
    this.#push(this.#text(this.#u64()));
  }
  /** A text of Python 2. */
  SHORT_BINSTRING(): void {
    this.#push(this.#text(this.#u8()));
  }
  EMPTY_TUPLE(): void {
    this.#tuple(0);
  }
  TUPLE1(): void {
    this.#tuple(1);
  }
  TUPLE2(): void {
    this.#tuple(2);
  }
  TUPLE3(): void {
    this.#tuple(3);
  }
  TUPLE(): void {
    this.#push(Object.freeze(this.#popMark()));
  }
  EMPTY_LIST(): void {
    this.#push([]);
  }
  APPEND(): void {
    const value = this.#pop();
    this.#append([value]);
  }
  APPENDS(): void {
    this.#append(this.#popMark());
  }
  EMPTY_DICT(): void {
    this.#push(new Map());
  }
  SETITEM(): void {
    const value = this.#pop();
    this.#setItems([this.#pop(), value]);
  }
  SETITEMS(): void {
    this.#setItems(this.#popMark());
  }
  BINPUT(): void {
    this.#remember(this.#u8());
  }
  LONG_BINPUT(): void {
    this.#remember(this.#u32());
  }
  MEMOIZE(): void {
    this.#remember(this.#memo.size);
  }
  BINGET(): void {
    this.#recall(this.#u8());
  }
  LONG_BINGET(): void {
    this.#recall(this.#u32());
  }
  GLOBAL(): void {
    const module = this.#line();
    this.#global(module, this.#line());
  }
  STACK_GLOBAL(): void {
    const name = this.#pop();
    this.#global(this.#pop(), name);
  }
  REDUCE(): void {
    const [args, callee] = [this.#pop(), this.#pop()];
    if (!(callee instanceof Global) || !isTuple(args)) throw this.#wrong("calls no name with a tuple");
    this.#push(this.#rules.call(callee.name, args));
  }
  BUILD(): void {
    const state = this.#pop();
    this.#rules.setState(this.#top(), state);
  }
  BINPERSID(): void {
    this.#push(this.#rules.load(this.#pop()));
  }
}

/** Whether a value is a tuple. */
export const isTuple = (value: Pickled | undefined): value is readonly Pickled[] =>
  Array.isArray(value) && Object.isFrozen(value);

/** map[key] = value for a key that is a text or an integer and not there yet. */
export function setItem(map: PickledMap, key: Pickled, value: Pickled): void {
  if (typeof key !== "string" && !(typeof key === "number" && Number.isSafeInteger(key)))
    throw new CheckpointError("pickle: a dict has a key that is neither a text nor an integer; expected one");
  if (map.has(key)) throw new CheckpointError(`pickle: key ${quoted(String(key))} of a dict given twice`);
  map.set(key, value);
}

function refusal(code: number, at: number): CheckpointError {
  const name = REFUSED[code];
  const hex = `0x${code.toString(16).padStart(2, "0")}`;
  const what = name === undefined ? `byte ${hex} is no opcode` : `opcode ${name} (${hex}) is not allowed`;
  return new CheckpointError(
    `pickle: ${what}, at byte ${at}; only plain data and tensors are read; save the state dict alone with torch.save`,
  );
}
