import { create, globals } from "webgpu";
import { beforeAll, describe, expect, it } from "vitest";
import { openDevice, type Device } from "../../src/tensor/index.ts";
import { compile, defined } from "../../src/kernels/kernel.ts";
import type { Values } from "../../src/kernels/shader.ts";
import { listVariants } from "../../src/kernels/variant.ts";

// Dawn's null backend checks modules and pipelines as any other and offers what the adapter at hand may lack.
const gpu = create(["backend=null", "enable-dawn-features=allow_unsafe_apis"]);
let device: Device;

beforeAll(async () => {
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
  const adapter = await gpu.requestAdapter();
  expect(adapter, "Dawn's null adapter").not.toBeNull();
  device = await openDevice(adapter as GPUAdapter, { matrices: true });
  for (const feature of ["subgroups", "shader-f16", "chromium-experimental-subgroup-matrix"])
    expect(device.gpu.features.has(feature)).toBe(true);
});

/** What Dawn says of one variant; null where it compiles. */
async function failure(run: () => void): Promise<string | null> {
  device.gpu.pushErrorScope("validation");
  run();
  const error = await device.gpu.popErrorScope();
  return error?.message ?? null;
}

const parametersOf = (source: string): string[] =>
  [...source.matchAll(/^\s*(?:const|alias)\s+(\w+).*\/\/!param$/gm)].map((m) => m[1] as string);

/** Sets such that every two constants meet in each pair of their values: a fault needs more than two to hide. */
function pairwise(values: readonly Values[]): Values[] {
  const met = new Set<string>();
  return values.filter((set, index) => {
    const facts = Object.entries(set).map(([name, value]) => `${name}=${value}`);
    const pairs = facts.flatMap((one, i) => facts.slice(i).map((other) => `${one},${other}`));
    const fresh = pairs.filter((pair) => !met.has(pair));
    fresh.forEach((pair) => met.add(pair));
    return index === 0 || fresh.length > 0;
  });
}

describe.each(defined.map((d) => ({ ...d, name: `${d.shader.name}/${d.entry.name}` })))(
  "$name",
  ({ shader, entry, values }) => {
    it("compiles with the constants that its launches pass", async () => {
      const labels = (values ?? []).map((set) => JSON.stringify(set));
      expect(new Set(labels).size, "sets declared twice").toBe(labels.length);
      if (parametersOf(shader.source).length > 0) expect(values, "sets of constants").toBeDefined();
      const failures = await Promise.all(
        pairwise(values ?? [{}]).map(async (set) => ({
          set,
          error: await failure(() => compile(device, shader, entry, set)),
        })),
      );
      expect(failures.filter(({ error }) => error !== null)).toEqual([]);
    });
  },
);

describe("the check", () => {
  it("finds a wrong shader", async () => {
    const [first] = defined;
    const wrong = { ...first!.shader, source: `${first!.shader.source}\nconst broken: f32 = 1u;` };
    expect(await failure(() => compile(device, wrong, first!.entry, {}))).toMatch(/broken|f32/);
  });

  it("ends every family of variants with base", () => {
    expect(listVariants().size).toBeGreaterThan(0);
    for (const [family, names] of listVariants()) expect([...names].at(-1), family).toBe("base");
  });
});
