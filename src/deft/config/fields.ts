import { UserError } from "../errors.ts";
import { nearest } from "./nearest.ts";

/** What a configuration key may hold. */
export type Value = string | number | boolean | null | readonly number[];

/** A value as written on the command line or in a file, before its key says what it has to be. */
export type Raw = { readonly text: string; readonly quoted: boolean } | { readonly items: readonly Raw[] };

/** One key of the configuration: its type, its default, one line of help and the reading of its values. */
export interface Field<T extends Value> {
  readonly type: string;
  readonly default: T;
  readonly help: string;
  /** Reads a value; a wrong one throws a UserError that names `key`, the value and what was expected. */
  parse(key: string, raw: Raw): T;
}

export type Tree = { readonly [key: string]: Field<Value> | Tree };

/** The configuration that a tree of fields describes. */
export type ConfigOf<S> = S extends Field<infer T> ? T : { readonly [K in keyof S]: ConfigOf<S[K]> };

export function isField(node: Field<Value> | Tree): node is Field<Value> {
  return typeof node["parse"] === "function";
}

interface Range {
  readonly min?: number;
  readonly max?: number;
  /** The lower end itself is not allowed. */
  readonly above?: number;
}

const NUMBER = /^[+-]?(\d+(\.\d*)?|\.\d+)(e[+-]?\d+)?$/i;

/** A finite number within `range`. */
export function number(fallback: number, help: string, range: Range = {}): Field<number> {
  return numeric("number", "a number", () => true, fallback, help, range);
}

/** An integer within `range`; `4.0` counts as 4. */
export function int(fallback: number, help: string, range: Range = {}): Field<number> {
  return numeric("integer", "an integer", Number.isSafeInteger, fallback, help, range);
}

/** `true` or `false`, in any case. */
export function bool(fallback: boolean, help: string): Field<boolean> {
  return {
    type: "true | false",
    default: fallback,
    help,
    parse(key, raw) {
      const word = textOf(key, raw, "true or false").toLowerCase();
      if (word !== "true" && word !== "false") throw wrong(key, raw, "true or false");
      return word === "true";
    },
  };
}

/** Any text; `check` returns what was expected instead, or null when the text will do. */
export function text(
  fallback: string,
  help: string,
  check: (value: string) => string | null = () => null,
): Field<string> {
  return {
    type: "text",
    default: fallback,
    help,
    parse(key, raw) {
      const value = textOf(key, raw, "text");
      const expected = check(value);
      if (expected !== null) throw wrong(key, raw, expected);
      return value;
    },
  };
}

/** The words that a choice allows: itself, or all that begin with what stands before its `*`. */
type WordOf<C extends string> = C extends `${infer Start}*` ? `${Start}${string}` : C;

/**
 * One of `choices`, written in any case. A choice that ends in `*` stands for every word that begins so.
 * `aliases` are other spellings of a choice; a wrong word is answered with the nearest choice.
 */
export function oneOf<const C extends string>(
  choices: readonly C[],
  fallback: WordOf<NoInfer<C>>,
  help: string,
  aliases: { readonly [word: string]: NoInfer<C> } = {},
): Field<WordOf<C>> {
  return {
    type: choices.join(" | "),
    default: fallback,
    help,
    parse(key, raw) {
      const word = textOf(key, raw, choices.join(", ")).toLowerCase();
      const found = aliases[word] ?? choices.find((c) => matches(c, word));
      if (found === undefined) {
        throw new UserError(
          `${key}: no such choice; got ${show(raw)}; expected ${listed(choices)}; nearest is ${nearest(word, choices)}`,
        );
      }
      return (found.endsWith("*") ? word : found) as WordOf<C>;
    },
  };
}

/** A list of positive numbers: `[1,2,4]` or `1,2,4`; an empty list is `[]`. */
export function numbers(fallback: readonly number[], help: string): Field<readonly number[]> {
  return list(fallback, help, "positive numbers such as [1,2,4] or 1,2,4", (value) => value > 0);
}

/** A list of whole numbers from 0 on; empty unless given. */
export function classNumbers(help: string): Field<readonly number[]> {
  const isClass = (value: number) => Number.isInteger(value) && value >= 0;
  return list([], help, "class numbers from 0 on, such as [0,207] or 0,207", isClass);
}

function list(
  fallback: readonly number[],
  help: string,
  expected: string,
  allowed: (value: number) => boolean,
): Field<readonly number[]> {
  return {
    type: "numbers",
    default: fallback,
    help,
    parse(key, raw) {
      const words =
        "items" in raw ? raw.items.map((item) => textOf(key, item, expected)) : raw.text.split(",");
      if (words.length === 1 && words[0]?.trim() === "") return [];
      return words.map((word) => {
        if (!NUMBER.test(word.trim()) || !allowed(Number(word))) throw wrong(key, raw, expected);
        return Number(word);
      });
    },
  };
}

/** The field, or null; null unless given. Empty text counts as null. */
export function optional<T extends Value>(field: Field<T>): Field<T | null> {
  return {
    ...field,
    type: `${field.type} | null`,
    default: null,
    parse: (key, raw) => (isNull(raw) ? null : field.parse(key, raw)),
  };
}

/** The value as a raw one, for reading it back through its field. */
export function toRaw(value: unknown): Raw {
  if (Array.isArray(value)) return { items: value.map(toRaw) };
  const text = typeof value === "object" && value !== null ? "{...}" : String(value);
  return { text, quoted: typeof value === "string" };
}

/**
 * A value as Hydra writes it: `'…'` and `"…"` are text even when they read null, `[a,b]` is a list, all else
 * is taken as it stands. Throws a UserError naming `key` for a quote or a bracket that is not closed.
 */
export function parseValue(key: string, written: string): Raw {
  const word = written.trim();
  const first = word[0];
  if (first === "[") {
    if (!word.endsWith("]"))
      throw new UserError(`${key}: the list is not closed; got ${written}; expected [a,b]`);
    const inner = word.slice(1, -1).trim();
    return { items: inner === "" ? [] : inner.split(",").map((item) => parseValue(key, item)) };
  }
  if (first === "'" || first === '"') {
    if (word.length < 2 || !word.endsWith(first)) {
      throw new UserError(`${key}: the quote is not closed; got ${written}; expected ${word}${first}`);
    }
    return { text: word.slice(1, -1), quoted: true };
  }
  return { text: written, quoted: false };
}

/** A value as the user would write it. */
export function showValue(value: Value): string {
  if (Array.isArray(value)) return `[${value.join(",")}]`;
  return String(value);
}

function numeric(
  type: string,
  noun: string,
  allowed: (value: number) => boolean,
  fallback: number,
  help: string,
  range: Range,
): Field<number> {
  const { min, max, above } = range;
  const bounds = [
    above === undefined ? [] : [`above ${above}`],
    min === undefined ? [] : [`at least ${min}`],
    max === undefined ? [] : [`at most ${max}`],
  ].flat();
  const expected = [noun, bounds.join(" and ")].filter(Boolean).join(" ");
  return {
    type,
    default: fallback,
    help,
    parse(key, raw) {
      const word = textOf(key, raw, expected).trim();
      const value = Number(word);
      const inside =
        value >= (min ?? -Infinity) && value <= (max ?? Infinity) && value > (above ?? -Infinity);
      if (!NUMBER.test(word) || !Number.isFinite(value) || !allowed(value) || !inside)
        throw wrong(key, raw, expected);
      return value;
    },
  };
}

function matches(choice: string, word: string): boolean {
  return choice.endsWith("*")
    ? word.startsWith(choice.slice(0, -1)) && word.length >= choice.length
    : choice === word;
}

function isNull(raw: Raw): boolean {
  return "text" in raw && !raw.quoted && ["null", ""].includes(raw.text.trim().toLowerCase());
}

function textOf(key: string, raw: Raw, expected: string): string {
  if ("items" in raw || isNull(raw)) throw wrong(key, raw, expected);
  return raw.text;
}

function wrong(key: string, raw: Raw, expected: string): UserError {
  return new UserError(`${key}: wrong value; got ${show(raw)}; expected ${expected}`);
}

function show(raw: Raw): string {
  if ("items" in raw) return `[${raw.items.map(show).join(",")}]`;
  const line = raw.text.replace(/\s+/g, " ");
  return line === "" ? "nothing" : line.length > 80 ? `${line.slice(0, 77)}...` : line;
}

function listed(choices: readonly string[]): string {
  return choices.length === 1
    ? String(choices[0])
    : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`;
}
