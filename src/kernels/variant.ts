// The one place where an adapter gets a kernel variant: an ordered list, first match wins, the last is plain WGSL with
// default limits and always there. DeviceOptions.kernels forces: "base" takes the last everywhere, "family:variant,…" a named one.
import type { Device } from "../gpu/device.ts";
import { KernelError } from "../gpu/errors.ts";

export interface Variant<P> {
  readonly name: string;
  /** True where this variant can run and wins; absent on the last. */
  readonly when?: (device: Device, problem: P) => boolean;
}

const families = new Map<string, Set<string>>();

/** Makes a family's variants known, so that a wrong name in DeviceOptions.kernels fails with the list. */
export function declareVariants(family: string, names: readonly string[]): void {
  families.set(family, new Set([...(families.get(family) ?? []), ...names]));
}

/** Families and their variants, for tests and messages. */
export function listVariants(): ReadonlyMap<string, ReadonlySet<string>> {
  return families;
}

function forced(device: Device): ReadonlyMap<string, string> {
  const known = device.cache.get("forced-variants") as Map<string, string> | undefined;
  if (known) return known;
  const map = new Map<string, string>();
  for (const part of device.kernels.split(",").filter(Boolean)) {
    const [family = "", name] = part.split(":");
    if (part !== "base" && !families.get(family)?.has(name ?? "")) {
      const all = [...families].map(([f, names]) => `${f}:{${[...names].join("|")}}`).join(", ");
      throw new KernelError(`kernels: "${part}" is no variant; expected base or one of ${all}`);
    }
    map.set(name === undefined ? "*" : family, name ?? "base");
  }
  device.cache.set("forced-variants", map);
  return map;
}

/** The variant of `family` for this device and problem. A forced variant that cannot run is an error, never replaced. */
export function pickVariant<P, V extends Variant<P>>(
  device: Device,
  family: string,
  variants: readonly V[],
  problem: P,
): V {
  const last = variants.at(-1);
  if (!last) throw new KernelError(`${family}: no variants`);
  const want = forced(device).get(family);
  if (want !== undefined) {
    const named = variants.find((v) => v.name === want);
    if (named && (named.when?.(device, problem) ?? true)) return named;
    // A family may have several problems (forward, gradients); a variant that does not serve this one leaves it to the rest.
    return variants.find((v) => v !== named && (v.when?.(device, problem) ?? true)) ?? last;
  }
  if (forced(device).has("*")) return last;
  return variants.find((v) => v.when?.(device, problem) ?? true) ?? last;
}

/** Subgroup sizes of software adapters that the kernels are written for which share values by broadcast. */
export const LANES: readonly number[] = [4, 8, 16];

/** True where such kernels run. */
export const broadcasts = (device: Device): boolean => device.software && LANES.includes(device.subgroupSize);
