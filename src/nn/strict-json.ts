/** JSON with objects as maps, so that no name (`__proto__`, `constructor`) means anything but itself. */
export type JsonValue = null | boolean | number | string | JsonValue[] | Map<string, JsonValue>;

export interface JsonLimits {
  /** Objects and arrays inside one another. */
  readonly depth: number;
  /** Elements of one array. */
  readonly arrayLength: number;
  /** Names of one object. */
  readonly objectSize: number;
}

/**
 * Parses JSON (RFC 8259) from a source that may lie: a name given twice in one object is an error, and so
 * is what exceeds `limits`. Throws SyntaxError with the character's place.
 */
export function parseStrictJson(text: string, limits: JsonLimits): JsonValue {
  let at = 0;
  const fail = (what: string): never => {
    throw new SyntaxError(`${what} at character ${at}`);
  };
  const skipSpace = (): void => {
    while (at < text.length && " \t\n\r".includes(text[at]!)) at++;
  };
  const take = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };

  const value = (depth: number): JsonValue => {
    skipSpace();
    const first = text[at];
    if (first === "{" || first === "[") {
      if (depth === 0) fail(`nesting deeper than ${limits.depth}`);
      at++;
      return first === "{" ? object(depth - 1) : array(depth - 1);
    }
    if (first === '"') return string();
    for (const [word, meaning] of WORDS) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meaning;
      }
    }
    NUMBER.lastIndex = at;
    const digits = NUMBER.exec(text)?.[0] ?? fail("no JSON value");
    at += digits.length;
    return Number(digits);
  };

  const object = (depth: number): Map<string, JsonValue> => {
    const out = new Map<string, JsonValue>();
    if (take("}")) return out;
    do {
      skipSpace();
      if (text[at] !== '"') fail("no name in quotes");
      const start = at;
      const name = string();
      if (out.has(name)) {
        at = start;
        fail(`name ${quoted(name)} given twice`);
      }
      if (!take(":")) fail('no ":"');
      if (out.size === limits.objectSize) fail(`object with more than ${limits.objectSize} names`);
      out.set(name, value(depth));
    } while (take(","));
    if (!take("}")) fail('no "," or "}"');
    return out;
  };

  const array = (depth: number): JsonValue[] => {
    const out: JsonValue[] = [];
    if (take("]")) return out;
    do {
      if (out.length === limits.arrayLength) fail(`array longer than ${limits.arrayLength}`);
      out.push(value(depth));
    } while (take(","));
    if (!take("]")) fail('no "," or "]"');
    return out;
  };

  /** A text in quotes: its end is the first quote behind an even number of backslashes. */
  const string = (): string => {
    const start = at;
    for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
      let escapes = 0;
      while (text[end - 1 - escapes] === "\\") escapes++;
      if (escapes % 2 === 1) continue;
      try {
        const content = JSON.parse(text.slice(start, end + 1)) as string;
        at = end + 1;
        return content;
      } catch {
        return fail("wrong escape or control character in a text");
      }
    }
    return fail("text without an end");
  };

  const result = value(limits.depth);
  skipSpace();
  if (at < text.length) fail("more after the end");
  return result;
}

const WORDS = [
  ["true", true],
  ["false", false],
  ["null", null],
] as const;

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** a name for messages and listings: in quotes, control characters escaped, at most 120 characters. */
export function quoted(name: string): string {
  const shown = name.length > 120 ? `${name.slice(0, 117)}...` : name;
  return JSON.stringify(shown).replace(/[\u007f-\u009f]/g, (c) => `\\u00${c.charCodeAt(0).toString(16)}`);
}
