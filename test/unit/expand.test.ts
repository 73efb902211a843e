import { describe, expect, it } from "vitest";
import { KernelError } from "../../src/tensor/index.ts";
import { combine, each, expand, shader, type Values } from "../../src/kernels/shader.ts";

/** The expansion of a text whose lines are x.wgsl:1, x.wgsl:2, ... */
function run(source: string, values: Values = {}): { code: string[]; lines: string[] } {
  const at = source.split("\n").map((_, i) => `x.wgsl:${i + 1}`);
  const { code, lines } = expand(shader("x", source, at, []), values);
  return { code: code.split("\n"), lines };
}

describe("//!param", () => {
  const source = [
    "const N = 4u; //!param",
    "const S: i32 = 3i; //!param",
    "alias T = vec4f; //!param",
    "let a = N;",
  ];

  it("keeps what the file says without a value", () => {
    expect(run(source.join("\n")).code).toEqual([
      "const N = 4u;",
      "const S: i32 = 3i;",
      "alias T = vec4f;",
      "let a = N;",
    ]);
  });

  it("takes the variant's values in the type of the file", () => {
    expect(run(source.join("\n"), { N: 7, S: 5, T: "f32" }).code.slice(0, 3)).toEqual([
      "const N = 7u;",
      "const S: i32 = 5i;",
      "alias T = f32;",
    ]);
  });

  it("refuses a value that no line declares", () => {
    expect(() => run(source.join("\n"), { N: 7, Q: 1 })).toThrow(KernelError);
    expect(() => run(source.join("\n"), { Q: 1 })).toThrow("x: no line declares Q with //!param");
  });
});

describe("//!repeat", () => {
  it("writes the body once for each number: _i in names, a bare i as u32", () => {
    const { code, lines } = run("//!repeat i 0..3\nvar sum_i = x[i] + row_i_a; // width fit\n//!end\nlast");
    expect(code).toEqual([
      "var sum_0 = x[0u] + row_0_a; // width fit",
      "var sum_1 = x[1u] + row_1_a; // width fit",
      "var sum_2 = x[2u] + row_2_a; // width fit",
      "last",
    ]);
    expect(lines).toEqual(["x.wgsl:2", "x.wgsl:2", "x.wgsl:2", "x.wgsl:4"]);
  });

  it("takes bounds from the constants, and none at all", () => {
    const source = "const TM = 2u; //!param\n//!repeat i 1..2*TM-1\na_i\n//!end";
    expect(run(source).code.slice(1)).toEqual(["a_1", "a_2"]);
    expect(run(source, { TM: 1 }).code.slice(1)).toEqual([]);
  });

  it("nests; inner bounds may use the outer number", () => {
    const source = "//!repeat i 0..3\n//!repeat j i..2\nm_i_j = v[i][j];\n//!end\n//!end";
    expect(run(source).code).toEqual(["m_0_0 = v[0u][0u];", "m_0_1 = v[0u][1u];", "m_1_1 = v[1u][1u];"]);
  });

  it("repeats a name that was used before, one after the other", () => {
    const source = "//!repeat i 0..1\na_i\n//!end\n//!repeat i 5..6\nb_i\n//!end";
    expect(run(source).code).toEqual(["a_0", "b_5"]);
  });
});

describe("//!if", () => {
  const source = "const N = 4u; //!param\n//!if N / 4 == 1\nfour\n//!else\nother\n//!end\nend";

  it("keeps one side", () => {
    expect(run(source).code.slice(1)).toEqual(["four", "end"]);
    expect(run(source, { N: 8 }).code.slice(1)).toEqual(["other", "end"]);
    expect(run(source, { N: 7 }).code.slice(1)).toEqual(["four", "end"]);
    expect(run(source, { N: 8 }).lines).toEqual(["x.wgsl:1", "x.wgsl:5", "x.wgsl:7"]);
  });

  it("may lack the other side, and knows every comparison", () => {
    const holds = (text: string, N: number): boolean =>
      run(`const N = 0u; //!param\n//!if ${text}\nyes\n//!end`, { N }).code.includes("yes");
    const truth: [string, boolean[]][] = [
      ["N == 3", [false, true, false]],
      ["N != 3", [true, false, true]],
      ["N < 3", [true, false, false]],
      ["N > 3", [false, false, true]],
      ["N <= 3", [true, true, false]],
      ["N >= 3", [false, true, true]],
      ["N", [true, true, true]],
      ["(N - 2) * 2 + 1 > 3", [false, false, true]],
      ["N > 1 + 2 * 1", [false, false, true]],
    ];
    for (const [text, want] of truth)
      expect(
        [2, 3, 4].map((n) => holds(text, n)),
        text,
      ).toEqual(want);
  });

  it("nests, and stands inside repeats with their numbers", () => {
    const nested =
      "const N = 1u; //!param\n//!if N == 1\n//!if N == 2\na\n//!else\nb\n//!end\n//!else\nc\n//!end";
    expect(run(nested).code.slice(1)).toEqual(["b"]);
    expect(run(nested, { N: 2 }).code.slice(1)).toEqual(["c"]);
    const inside = "//!repeat i 0..3\n//!if i == 1\nmiddle_i\n//!else\nedge_i\n//!end\n//!end";
    expect(run(inside).code).toEqual(["edge_0", "middle_1", "edge_2"]);
  });
});

describe("//!drop", () => {
  it("leaves the line out", () => {
    expect(run("const i = 0u; //!drop\nlet a = 1;").code).toEqual(["let a = 1;"]);
  });
});

describe("errors", () => {
  it.each([
    ["//!repeat i 0..2\na", /x\.wgsl:1: .* has no \/\/!end/],
    ["x\n//!if 1 == 1\n//!if 1 == 1\n//!end", /x\.wgsl:2: .* has no \/\/!end/],
    ["//!repeat i 3\n//!end", /x\.wgsl:1: expected \/\/!repeat NAME FROM\.\.TO/],
    ["\n//!if Q == 1\n//!end", /x\.wgsl:2: .* uses Q, which is no constant/],
    ["alias T = f32; //!param\n//!if T == 1\n//!end", /x\.wgsl:2: .* uses T/],
    ["//!repeat i 0..\n//!end", /x\.wgsl:1/],
    ["//!if 1 == 1 2\n//!end", /x\.wgsl:1: .* goes on after 1 == 1/],
    ["//!if (1 == 1\n//!end", /x\.wgsl:1: .* lacks a closing bracket/],
  ])("%j", (source, message) => {
    expect(() => run(source)).toThrow(KernelError);
    expect(() => run(source)).toThrow(message);
  });
});

describe("sets of constants", () => {
  it("are every union of one set from each list", () => {
    expect(combine(each("A", 0, 1), [{ B: 2, C: "f32" }, { B: 3 }])).toEqual([
      { A: 0, B: 2, C: "f32" },
      { A: 0, B: 3 },
      { A: 1, B: 2, C: "f32" },
      { A: 1, B: 3 },
    ]);
    expect(combine()).toEqual([{}]);
  });
});
