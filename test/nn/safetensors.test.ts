import { describe, expect, it } from "vitest";
import { bf16ToF32, f16ToF32, f32ToBf16, f32ToF16 } from "../../src/nn/dtype-bits.ts";
import { CheckpointError } from "../../src/nn/errors.ts";
import { encodeHeader, headerLength, parseHeader, toF32, viewRaw } from "../../src/nn/safetensors.ts";
import { parseStrictJson } from "../../src/nn/strict-json.ts";

describe("parseStrictJson", () => {
  const limits = { depth: 3, arrayLength: 4, objectSize: 3 };
  const plain = (value: unknown): unknown => {
    if (value instanceof Map) return Object.fromEntries([...value].map(([k, v]) => [String(k), plain(v)]));
    return Array.isArray(value) ? value.map(plain) : value;
  };

  it("agrees with JSON.parse on what is valid", () => {
    const texts = [
      '{"a":[1,-2.5e3,0,0.25],"b":{"c":null,"d":true,"e":false}}',
      " { } ",
      "[]",
      '"\\u0041\\n\\\\"',
      '{"a\\"b":"\\\\"}',
      "[ [ ] , [ 1 ] ]",
      "-0.0",
      '{"":"ü😀"}',
    ];
    for (const text of texts) expect(plain(parseStrictJson(text, limits)), text).toEqual(JSON.parse(text));
  });

  it("refuses what JSON.parse refuses", () => {
    const texts = [
      "",
      "{",
      "[1,]",
      "{,}",
      '{"a"}',
      '{"a":}',
      "{a:1}",
      '"x',
      '"\\"',
      '"\\x"',
      '"\n"',
      "01",
      "+1",
      ".5",
    ];
    texts.push("1.", "1e", "nul", "[1 2]", "{} {}", "'a'", '{"a":1,}', "NaN", "-", "tru\u0065x", "\u00a01");
    for (const text of texts) {
      expect(() => JSON.parse(text) as unknown, text).toThrow(SyntaxError);
      expect(() => parseStrictJson(text, limits), text).toThrow(SyntaxError);
    }
  });

  it("refuses what could harm", () => {
    expect(() => parseStrictJson('{"a":1,"\\u0061":2}', limits)).toThrow(
      'name "a" given twice at character 7',
    );
    expect(() => parseStrictJson("[".repeat(300_000), limits)).toThrow(/nesting deeper than 3/);
    expect(() => parseStrictJson("[1,2,3,4,5]", limits)).toThrow(/longer than 4/);
    expect(() => parseStrictJson('{"a":1,"b":2,"c":3,"d":4}', limits)).toThrow(/more than 3 names/);
    const map = parseStrictJson('{"__proto__":{"x":1},"constructor":2}', limits) as Map<string, unknown>;
    expect([...map.keys()]).toEqual(["__proto__", "constructor"]);
    expect(({} as Record<string, unknown>).x).toBeUndefined();
  });
});

describe("16-bit floats", () => {
  const allBits = Uint16Array.from({ length: 65536 }, (_, i) => i);
  /** binary16 by its definition, in double precision. */
  const half = (bits: number): number => {
    const [sign, exponent, mantissa] = [bits >> 15 ? -1 : 1, (bits >> 10) & 31, bits & 1023];
    if (exponent === 31) return mantissa ? NaN : sign * Infinity;
    return exponent ? sign * (1 + mantissa / 1024) * 2 ** (exponent - 15) : (sign * mantissa) / 2 ** 24;
  };
  const finite = Array.from(allBits.subarray(0, 0x7c00), half);

  it("reads every float16", () => {
    const values = f16ToF32(allBits);
    for (const bits of allBits) {
      if (!Object.is(values[bits], half(bits))) expect.fail(`${bits}: ${values[bits]} for ${half(bits)}`);
    }
  });

  it("writes every float16 back, NaN as NaN", () => {
    const back = f32ToF16(f16ToF32(allBits));
    for (const bits of allBits) {
      const same = Number.isNaN(half(bits)) ? Number.isNaN(half(back[bits]!)) : back[bits] === bits;
      if (!same) expect.fail(`${bits} became ${back[bits]}`);
    }
  });

  it("rounds to the nearest float16, ties to even", () => {
    const sample = finite.flatMap((low, i) => {
      const high = finite[i + 1] ?? 65536;
      const middle = (low + high) / 2;
      const even = i % 2 === 0 ? i : i + 1;
      const above = middle * (1 + 2 ** -23);
      const below = middle * (1 - 2 ** -23);
      return [
        [middle, even],
        [above, i + 1],
        [below, i],
      ] as const;
    });
    for (const sign of [1, -1]) {
      const rounded = f32ToF16(Float32Array.from(sample, ([value]) => sign * value));
      sample.forEach(([value, expected], i) => {
        const bits = sign < 0 ? expected | 0x8000 : expected;
        if (rounded[i] !== bits) expect.fail(`${sign * value}: ${rounded[i]} for ${bits}`);
      });
    }
    const tiny = f32ToF16(Float32Array.of(1e-45, -1e-30, 2 ** -25, 2 ** -25 * 1.0001, 3e38, Infinity));
    expect([...tiny]).toEqual([0, 0x8000, 0, 1, 0x7c00, 0x7c00]);
  });

  it("reads and rounds bfloat16", () => {
    const values = bf16ToF32(allBits);
    const view = new DataView(new ArrayBuffer(4));
    for (const bits of allBits) {
      view.setUint32(0, bits << 16);
      if (!Object.is(values[bits], view.getFloat32(0))) expect.fail(`${bits}: ${values[bits]}`);
    }
    const back = f32ToBf16(values);
    for (const bits of allBits) {
      if (Number.isNaN(values[bits]))
        expect(Number.isNaN(bf16ToF32(back.subarray(bits, bits + 1))[0])).toBe(true);
      else if (back[bits] !== bits) expect.fail(`${bits} became ${back[bits]}`);
    }
    const cases = Float32Array.of(
      1 + 2 ** -8,
      1 + 3 * 2 ** -8,
      1 + 2 ** -8 + 2 ** -20,
      3.4028235e38,
      -3.4028235e38,
    );
    expect([...f32ToBf16(cases)]).toEqual([0x3f80, 0x3f82, 0x3f81, 0x7f80, 0xff80]);
  });
});

describe("header", () => {
  const file = (header: string | Uint8Array, dataBytes: number) => {
    const bytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
    return () => parseHeader(bytes, 8 + bytes.length + dataBytes);
  };
  const entry = (fields: object): string =>
    JSON.stringify({ a: { dtype: "F32", shape: [2, 2], data_offsets: [0, 16], ...fields } });

  it("reads back what it writes, wide types first and every one aligned", () => {
    const declared = [
      { name: "b", dtype: "U8", shape: [3] },
      { name: "__proto__", dtype: "F32", shape: [2, 3] },
      { name: "7", dtype: "F16", shape: [5] },
      { name: "3", dtype: "F64", shape: [] },
      { name: "none", dtype: "F32", shape: [0, 4] },
    ] as const;
    const { bytes, order } = encodeHeader(declared, { step: "7", "a b": 'quote " ü' });
    expect(order.map(({ name }) => name)).toEqual(["3", "__proto__", "none", "7", "b"]);
    const size = bytes.length + 8 + 24 + 0 + 10 + 3;
    expect(headerLength(bytes.subarray(0, 8), size)).toBe(bytes.length - 8);
    const { tensors, metadata } = parseHeader(bytes.subarray(8), size);
    expect([...metadata]).toEqual([
      ["step", "7"],
      ["a b", 'quote " ü'],
    ]);
    expect([...tensors.keys()]).toEqual(["3", "__proto__", "none", "7", "b"]);
    for (const { name, dtype, shape } of declared) expect(tensors.get(name)).toMatchObject({ dtype, shape });
    expect(tensors.get("__proto__")).toMatchObject({ offset: bytes.length + 8, bytes: 24 });
    expect(bytes.length % 8).toBe(0);
    expect(() => encodeHeader([declared[0], declared[0]])).toThrow(/"b" given twice/);
  });

  it("refuses lengths that cannot be", () => {
    const first8 = (length: bigint): Uint8Array => new Uint8Array(new BigUint64Array([length]).buffer);
    expect(headerLength(first8(10n), 18)).toBe(10);
    for (const length of [0n, 1n, 11n, 1n << 40n, 2n ** 64n - 1n]) {
      expect(() => headerLength(first8(length), 18)).toThrow(CheckpointError);
    }
    expect(() => headerLength(first8(100_000_001n), 2 ** 40)).toThrow(/expected 2 to 100000000/);
    expect(() => headerLength(new Uint8Array(7), 7)).toThrow(/7 bytes/);
  });

  it("refuses a table that lies, in one line", () => {
    const good = { dtype: "F32", shape: [2, 2] };
    const cases: [() => unknown, RegExp][] = [
      [file("[]", 0), /no JSON object/],
      [file(Uint8Array.of(0x7b, 0xff, 0x7d), 0), /not UTF-8/],
      [file(`{"a":${"[".repeat(200_000)}`, 0), /nesting/],
      [file('{"a":null}', 0), /"a": no JSON object/],
      [file(entry({ dtype: "F33" }), 16), /dtype/],
      [file(entry({ dtype: "toString" }), 16), /dtype/],
      [file(entry({ shape: "2,2" }), 16), /shape/],
      [file(entry({ shape: [-2, -2] }), 16), /shape/],
      [file(entry({ shape: [1.6, 2.5] }), 16), /shape/],
      [file(entry({ shape: [3, 2] }), 16), /takes 24 bytes/],
      [file(entry({ shape: [2 ** 33, 2 ** 31, 4] }), 16), /too large/],
      [file(entry({ shape: new Array(100).fill(1) }), 16), /longer than 64/],
      [file(entry({ data_offsets: [0, 16, 16] }), 16), /data_offsets/],
      [file(entry({ data_offsets: [16, 0] }), 16), /data_offsets/],
      [file(entry({ data_offsets: ["0", "16"] }), 16), /data_offsets/],
      [file(entry({ extra: 1 }), 16), /unknown field "extra"/],
      [file(entry({}), 15), /end at byte/],
      [file(entry({}), 64), /end at byte/],
      [
        file(
          JSON.stringify({ a: { ...good, data_offsets: [0, 16] }, b: { ...good, data_offsets: [8, 24] } }),
          24,
        ),
        /overlaps/,
      ],
      [
        file(
          JSON.stringify({ a: { ...good, data_offsets: [0, 16] }, b: { ...good, data_offsets: [20, 36] } }),
          36,
        ),
        /4 bytes unused/,
      ],
      [file('{"__metadata__":{"a":{}}}', 0), /"a" is no text/],
      [file('{"__metadata__":3}', 0), /__metadata__/],
    ];
    for (const [parse, message] of cases) {
      expect(parse).toThrow(CheckpointError);
      expect(parse).toThrow(message);
      expect(parse).not.toThrow(/\n/);
    }
  });
});

it("toF32 converts every type", () => {
  const bytes = (values: ArrayLike<number>): Uint8Array<ArrayBuffer> => Uint8Array.from(values);
  expect([...toF32("I64", new BigInt64Array([-3n, 5n]))]).toEqual([-3, 5]);
  expect([...toF32("I8", viewRaw("I8", bytes([255, 1])))]).toEqual([-1, 1]);
  expect([...toF32("I16", viewRaw("I16", bytes([254, 255])))]).toEqual([-2]);
  expect([...toF32("BOOL", viewRaw("BOOL", bytes([1, 0])))]).toEqual([1, 0]);
  expect([...toF32("F16", viewRaw("F16", bytes([0, 0x3c])))]).toEqual([1]);
  expect([...toF32("BF16", viewRaw("BF16", bytes([0x80, 0x3f])))]).toEqual([1]);
  expect([...toF32("F64", new Float64Array([0.1]))]).toEqual([Math.fround(0.1)]);
});
