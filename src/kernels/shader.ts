// A WGSL file as the generator hands it over, and the expansion of its marked lines for one variant.
import { KernelError } from "../gpu/errors.ts";

export interface Binding {
  readonly name: string;
  readonly binding: number;
  readonly access: string;
}

export interface Entry {
  readonly name: string;
  readonly buffers: readonly Binding[];
  readonly params: readonly { readonly field: string; readonly type: string }[];
  /** Binding of the Params uniform, -1 without one. */
  readonly uniform: number;
}

/** Buffers and parameters of each entry point, as types. */
export type Entries = Record<string, { buffers: string; params: object }>;

export interface Shader<E extends Entries> {
  readonly name: string;
  readonly source: string;
  /** "file:line" of each line of `source`. */
  readonly lines: readonly string[];
  readonly entries: readonly Entry[];
  readonly types?: E;
}

export function shader<E extends Entries>(
  name: string,
  source: string,
  lines: readonly string[],
  entries: readonly Entry[],
): Shader<E> {
  return { name, source, lines, entries };
}

/** Values of a variant: numbers for `const NAME = …; //!param`, type names for `alias NAME = …; //!param`. */
export type Values = Readonly<Record<string, number | string>>;

/** Sets of one value each: NAME = every choice. */
export const each = (name: string, ...choices: readonly (number | string)[]): Values[] =>
  choices.map((choice) => ({ [name]: choice }));

/** Every union of one set from each list. */
export const combine = (...lists: readonly (readonly Values[])[]): Values[] =>
  lists.reduce<Values[]>((all, list) => all.flatMap((a) => list.map((b) => ({ ...a, ...b }))), [{}]);

/** Integer expression over the variant's constants: names, numbers, + - * / (rounding down) and the comparisons == != < > <= >=. */
function evaluate(text: string, values: Record<string, number | string>, at: string): number {
  const tokens = text.match(/[A-Za-z_]\w*|\d+|[=!<>]=|[-+*/<>()]/g) ?? [];
  let i = 0;
  const atom = (): number => {
    const t = tokens[i++];
    if (t === "(") {
      const v = compare();
      if (tokens[i++] !== ")") throw new KernelError(`${at}: "${text}" lacks a closing bracket`);
      return v;
    }
    const v = t !== undefined && /^\d/.test(t) ? Number(t) : values[t ?? ""];
    if (typeof v !== "number")
      throw new KernelError(`${at}: "${text}" uses ${String(t)}, which is no constant marked //!param`);
    return v;
  };
  const binary =
    (next: () => number, ops: Record<string, (a: number, b: number) => number>) => (): number => {
      let v = next();
      for (let op = ops[tokens[i] ?? ""]; op; op = ops[tokens[i] ?? ""]) {
        i++;
        v = op(v, next());
      }
      return v;
    };
  const product = binary(atom, { "*": (a, b) => a * b, "/": (a, b) => Math.floor(a / b) });
  const sum = binary(product, { "+": (a, b) => a + b, "-": (a, b) => a - b });
  const compare = binary(sum, {
    "==": (a, b) => Number(a === b),
    "!=": (a, b) => Number(a !== b),
    "<": (a, b) => Number(a < b),
    ">": (a, b) => Number(a > b),
    "<=": (a, b) => Number(a <= b),
    ">=": (a, b) => Number(a >= b),
  });
  const value = compare();
  if (i < tokens.length)
    throw new KernelError(`${at}: "${text}" goes on after ${tokens.slice(0, i).join(" ")}`);
  return value;
}

/** Types that need WGSL's extension f16. */
const HALF_TYPES: ReadonlySet<unknown> = new Set(["f16", "vec4h"]);

interface Line {
  text: string;
  at: string;
}

/**
 * Expands the marked lines of a shader:
 *   const TM = 16u; //!param              value replaced by the variant's
 *   alias T = f32; //!param              f16 and vec4h enable the extension
 *   //!repeat i 0..TM  …  //!end          body once for each i; `_i` in a name becomes `_3`, a bare `i` becomes `3u`
 *   //!if EXPR  …  //!else  …  //!end     by the variant's constants
 *   …; //!drop                            left out (declares repeat names for editors: the file on disk is valid WGSL)
 */
export function expand(shader: Shader<Entries>, given: Values): { code: string; lines: string[] } {
  const values: Record<string, number | string> = {};
  const source: Line[] = shader.source.split("\n").map((text, k) => ({ text, at: shader.lines[k] ?? "?" }));
  const out: Line[] = [];
  const walk = (lines: Line[]): void => {
    for (let k = 0; k < lines.length; k++) {
      const line = lines[k] as Line;
      const mark = /^\s*\/\/!(repeat|if)\s+(.*)$/.exec(line.text);
      if (mark) {
        let depth = 1;
        let end = k + 1;
        let otherwise = -1;
        for (; end < lines.length; end++) {
          const t = (lines[end] as Line).text.trim();
          if (/^\/\/!(repeat|if)\s/.test(t)) depth++;
          else if (t === "//!end" && --depth === 0) break;
          else if (t === "//!else" && depth === 1) otherwise = end;
        }
        if (depth > 0) throw new KernelError(`${line.at}: ${line.text.trim()} has no //!end`);
        const rest = mark[2] ?? "";
        if (mark[1] === "if") {
          const yes = evaluate(rest, values, line.at) !== 0;
          walk(
            yes
              ? lines.slice(k + 1, otherwise < 0 ? end : otherwise)
              : otherwise < 0
                ? []
                : lines.slice(otherwise + 1, end),
          );
        } else {
          const m = /^(\w+)\s+(.+)\.\.(.+)$/.exec(rest);
          if (!m) throw new KernelError(`${line.at}: expected //!repeat NAME FROM..TO`);
          const name = m[1] ?? "";
          const [from, to] = [evaluate(m[2] ?? "", values, line.at), evaluate(m[3] ?? "", values, line.at)];
          const pattern = new RegExp(`(_?)(?<![A-Za-z0-9])${name}(?![A-Za-z0-9])`, "g");
          for (let v = from; v < to; v++) {
            const outer = values[name];
            values[name] = v;
            walk(
              lines.slice(k + 1, end).map(({ text, at }) => ({
                at,
                text: /^\s*\/\/!(repeat|if)\s/.test(text)
                  ? text.replace(pattern, (_, u: string) => `${u}${v}`)
                  : text.replace(pattern, (_, u: string, pos: number, all: string) =>
                      u || all[pos + name.length] === "_" ? `${u}${v}` : `${v}u`,
                    ),
              })),
            );
            if (outer === undefined) delete values[name];
            else values[name] = outer;
          }
        }
        k = end;
        continue;
      }
      if (line.text.endsWith("//!drop")) continue;
      const param = /^(\s*(?:const|alias)\s+(\w+)\s*(?::\s*\w+\s*)?=\s*)([^;]+);\s*\/\/!param$/.exec(
        line.text,
      );
      if (param) {
        const name = param[2] ?? "";
        const written = (param[3] ?? "").trim();
        const value = given[name] ?? (/^\d+[ui]?$/.test(written) ? parseInt(written, 10) : written);
        values[name] = value;
        const suffix = /[ui]$/.exec(written)?.[0] ?? "";
        out.push({
          text: `${param[1]}${typeof value === "number" ? `${value}${suffix}` : value};`,
          at: line.at,
        });
      } else out.push(line);
    }
  };
  walk(source);
  const unknown = Object.keys(given).filter((n) => !(n in values));
  if (unknown.length > 0)
    throw new KernelError(`${shader.name}: no line declares ${unknown.join(", ")} with //!param`);
  if (Object.values(values).some((v) => HALF_TYPES.has(v)))
    out.unshift({ text: "enable f16;", at: "variant" });
  return { code: out.map((l) => l.text).join("\n"), lines: out.map((l) => l.at) };
}
