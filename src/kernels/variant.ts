// The one place where an adapter gets a kernel variant. A family lists its variants in order; the last is plain WGSL with default
// limits and always there. Of those that can run, DeviceOptions.kernels forces one ("base" the last everywhere, "family:variant,…" a
// named one), else DeviceOptions.tuning names the one that was measured to be fastest, else the first that wins is taken.
import type { Device } from "../gpu/device.ts";
import { ChoiceError, KernelError } from "../gpu/errors.ts";

export interface Variant<P> {
  readonly name: string;
  /** True where it can run; absent: everywhere. */
  readonly can?: (device: Device, problem: P) => boolean;
  /** True where it is faster than those behind it, if it can run; absent: wherever it can. */
  readonly wins?: (device: Device, problem: P) => boolean;
}

const families = new Map<string, Set<string>>();
/** Families and their variants, for tests. */
export function listVariants(): ReadonlyMap<string, ReadonlySet<string>> {
  return families;
}

const listed = (names: Iterable<string>): string => [...names].join(", ");

interface Choices {
  /** Names by family, "*" for all. */
  readonly forced: ReadonlyMap<string, string>;
  /** Names by family and problem. */
  readonly tuned: ReadonlyMap<string, string>;
}

/** What the options of a device ask for; throws ChoiceError for a family or a variant that there is not. */
function choicesOf(device: Device): Choices {
  const known = device.cache.get("variant-choices") as Choices | undefined;
  if (known) return known;
  const forced = new Map<string, string>();
  for (const part of device.kernels.split(",").filter(Boolean)) {
    const [family = "", name] = part.split(":");
    if (part !== "base" && !families.get(family)?.has(name ?? "")) {
      const all = [...families].map(([f, names]) => `${f}:{${[...names].join("|")}}`).join(", ");
      throw new ChoiceError(`kernels: "${part}" is no variant; expected base or one of ${all}`);
    }
    forced.set(name === undefined ? "*" : family, name ?? "base");
  }
  const { source, variants: tuned } = device.tuning;
  for (const [problem, name] of tuned) {
    const names = families.get(problem.split(" ")[0] ?? "");
    if (!names)
      throw new ChoiceError(`${source}: ${problem}: no such family; expected ${listed(families.keys())}`);
    if (!names.has(name))
      throw new ChoiceError(`${source}: ${problem}: no variant ${name}; expected one of ${listed(names)}`);
  }
  const choices = { forced, tuned };
  device.cache.set("variant-choices", choices);
  return choices;
}

/** Throws ChoiceError where the options of a device ask for a family or a variant that there is not; else picking would. */
export function checkChoices(device: Device): void {
  choicesOf(device);
}

/**
 * Makes a family's variants known (a family may have several lists, for problems of several sorts) and returns what picks one.
 * `key` says in few words what of a problem decides which variant is fastest: with the family's name it is the problem's name in
 * tuning tables, so it must not change from one release to the next without need; without it rules alone choose, and launches count
 * to the problem that they are a part of. A forced variant that cannot run the problem leaves it to the others; one that a tuning
 * table names is an error then.
 */
export function defineVariants<P, V extends Variant<P>>(
  family: string,
  variants: readonly V[],
  key?: (problem: P, device: Device) => string,
): (device: Device, problem: P) => V {
  const last = variants.at(-1);
  if (!last) throw new KernelError(`${family}: no variants`);
  families.set(family, new Set([...(families.get(family) ?? []), ...variants.map((v) => v.name)]));
  return (device, problem) => {
    const { forced, tuned } = choicesOf(device);
    const can = (v: V): boolean => v.can?.(device, problem) ?? true;
    const usual = (): V => variants.find((v) => can(v) && (v.wins?.(device, problem) ?? true)) ?? last;
    const want = forced.get(family);
    if (want !== undefined) return variants.find((v) => v.name === want && can(v)) ?? usual();
    if (forced.has("*")) return last;
    if (!key || (tuned.size === 0 && !device.picked)) return usual();
    const name = `${family} ${key(problem, device)}`.trim();
    const named = tuned.get(name);
    const chosen = named === undefined ? usual() : variants.find((v) => v.name === named && can(v));
    if (!chosen)
      throw new ChoiceError(
        `${device.tuning.source}: ${name}: ${named} cannot run this on ${device.adapterName}; expected one of ${listed(variants.filter(can).map((v) => v.name))}`,
      );
    device.picked?.(name, chosen.name, () => variants.filter(can).map((v) => v.name));
    return chosen;
  };
}

/** A count in keys, as the power of two from it on: sizes of batches that one measurement speaks for. */
export const countClass = (n: number): number => 2 ** Math.ceil(Math.log2(n));

/** f16 in keys: with tensor cores other variants are fast. */
export const halfName = (device: Device): string => (device.matrix ? "f16 matrix" : "f16");

/** Subgroup sizes of software adapters that the kernels are written for which share values by broadcast. */
export const LANES: readonly number[] = [4, 8, 16];

/** True where such kernels run. */
export const broadcasts = (device: Device): boolean => device.software && LANES.includes(device.subgroupSize);
