// What eslint does not see of the sources: import cycles, re-exports outside the public indexes, names and sizes.
// Cycles of values fail. Cycles that only types close vanish when compiled: their number is printed.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path/posix";

const INDEXES = ["src/tensor/index.ts", "src/tensor/ops/index.ts", "src/nn/index.ts", "src/deft/index.ts"];
const SHADER_LINES = 400;
const problems = [];

const under = (folder, ending) =>
  readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith(ending))
    .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
    .sort();
const files = under("src", ".ts");
const text = new Map(files.map((file) => [file, withoutComments(readFileSync(file, "utf8"))]));

function withoutComments(source) {
  return source.replace(/^\s*(\/\/|\/?\*).*$/gm, "");
}

/** Files that `file` imports or re-exports: all of them, or those that are still there when types are gone. */
function importsOf(file, typesToo) {
  const statements = /^\s*(?:import|export)\s+(type\s)?[^;"'`()]*?["'](\.[^"']+)["']/gm;
  const loads = [...text.get(file).matchAll(/\bimport\(\s*["'](\.[^"']+)["']\s*\)/g)];
  return [
    ...[...text.get(file).matchAll(statements)].filter((m) => typesToo || !m[1]).map((m) => m[2]),
    ...loads.map((m) => m[1]),
  ].map((target) => path.join(path.dirname(file), target));
}

/** Strongly connected components of more than one file (Tarjan 1972). */
function cyclesOf(edges) {
  const [order, low, stack, found] = [new Map(), new Map(), [], []];
  const visit = (file) => {
    order.set(file, order.size);
    low.set(file, order.get(file));
    stack.push(file);
    for (const next of edges.get(file) ?? []) {
      if (!order.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file), low.get(next)));
    }
    if (low.get(file) < order.get(file)) return;
    const part = stack.splice(stack.indexOf(file));
    if (part.length > 1 || edges.get(file)?.includes(file)) found.push(part);
  };
  for (const file of edges.keys()) if (!order.has(file)) visit(file);
  return found;
}

const graph = (typesToo) => new Map(files.map((file) => [file, importsOf(file, typesToo)]));
const values = cyclesOf(graph(false));
for (const cycle of values) problems.push(`import cycle: ${cycle.join(" -> ")} -> ${cycle[0]}`);
const withTypes = cyclesOf(graph(true));

for (const file of files) {
  if (!/^[a-z0-9]+(-[a-z0-9]+)*(\.gen)?\.ts$/.test(path.basename(file)))
    problems.push(`${file}: file names are words in lower case joined by hyphens`);
  const again = /^\s*export\s+(?:type\s+)?(?:\*|\{[^}]*\}\s*from)/m.exec(text.get(file));
  if (again && !INDEXES.includes(file))
    problems.push(`${file}: re-exports ("${again[0].trim()}"); only ${INDEXES.join(", ")} do`);
}

// Names along one family: shaders/NAME[.variant].wgsl is launched from src/kernels, from a file named as one of its shaders.
const shaders = readdirSync("shaders")
  .filter((name) => name.endsWith(".wgsl"))
  .map((name) => path.basename(name, ".wgsl"));
const camel = (name) => name.replace(/[-.](\w)/g, (_, c) => c.toUpperCase());
const launched = new Map(shaders.map((name) => [camel(name), name]));
for (const file of files.filter((f) => f.startsWith("src/kernels/"))) {
  const used = [...text.get(file).matchAll(/\bwgsl\.(\w+)/g)].map((m) => launched.get(m[1]) ?? m[1]);
  const own = path.basename(file, ".ts");
  const families = used.map((name) => name.split(".")[0]);
  if (used.length > 0 && !families.some((name) => name === own || own.startsWith(`${name}-`)))
    problems.push(
      `${file}: launches ${[...new Set(used)].join(", ")}; expected shaders/${own}.wgsl among them`,
    );
}
const index = text.get("src/tensor/ops/index.ts") ?? "";
for (const file of files.filter((f) => f.startsWith("src/tensor/ops/") && !f.endsWith("/index.ts")))
  if (/^export const \w+ = defineOp/m.test(text.get(file)) && !index.includes(`"./${path.basename(file)}"`))
    problems.push(`${file}: its ops are missing from src/tensor/ops/index.ts`);
for (const file of under("shaders", ".wgsl")) {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n").length;
  if (lines > SHADER_LINES) problems.push(`${file}: ${lines} lines; expected at most ${SHADER_LINES}`);
}
for (const file of INDEXES) if (!existsSync(file)) problems.push(`${file}: missing`);

for (const line of problems) console.error(line);
const members = withTypes.flat().length;
console.log(
  `imports: ${files.length} files, ${values.length} cycles of values, ${withTypes.length - values.length} of types only${members ? ` (${members} files)` : ""}`,
);
process.exitCode = problems.length > 0 ? 1 : 0;
