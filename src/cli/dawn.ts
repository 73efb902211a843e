// Opens a WebGPU adapter in Node: the only place that loads Dawn (npm package `webgpu`), and only when called.
import { UserError } from "../deft/errors.ts";
import { swiftshaderMissing, unpackSwiftshader } from "./swiftshader.ts";
import {
  installedLavapipe,
  manifestsOf,
  loadVulkanLoader,
  manifestVersion,
  userDrivers,
  withDrivers,
} from "./vulkan.ts";

const choices = ["auto", "hardware", "lavapipe", "swiftshader"] as const;
export type AdapterChoice = (typeof choices)[number];
export type AdapterKind = Exclude<AdapterChoice, "auto">;

export interface OpenedGpu {
  /** Good for one device: Dawn refuses a second one from the same adapter. */
  readonly adapter: GPUAdapter;
  /** A fresh handle of the same adapter, for another device. */
  readonly freshAdapter: () => Promise<GPUAdapter>;
  readonly kind: AdapterKind;
  /** The adapter's own name, such as "llvmpipe: Mesa 25.0.7 (LLVM 15.0.6)". */
  readonly name: string;
  /** The name and the driver, as the line has them: what a tuning table is of. */
  readonly identity: string;
  /** One line to print: the adapter and why it was chosen. */
  readonly line: string;
  /** What WGSL the implementation knows, such as `immediate_address_space`. */
  readonly languageFeatures: ReadonlySet<string>;
}

interface Found {
  readonly gpu: GPU;
  readonly adapter: GPUAdapter;
  readonly kind: AdapterKind | "other";
}

/** Dawn aborts the process when its GPU object is collected while in use: all of them stay here. */
const instances: GPU[] = [];

// Without this toggle Dawn hides shader-f16 on NVIDIA and Vulkan; elsewhere it does nothing.
const F16 = "vulkan_enable_f16_on_nvidia";
// Dawn offers experimental features, such as subgroup matrices, with this toggle alone.
const EXPERIMENTAL = "allow_unsafe_apis";
// Dawn's bounds checks cost SwiftShader 1.3 times (one fine-tuning step of 8 pictures: 1.35 s with, 1.03 s without them, of
// two cores) and lavapipe almost nothing. The kernels guard their own indices, and the tests run with the checks on lavapipe.
const UNCHECKED = "disable_robustness";
const dawnOptions = (features: readonly string[]): string[] => [`enable-dawn-features=${features.join(",")}`];
const request: GPURequestAdapterOptions = { powerPreference: "high-performance" };
const kindNames = {
  hardware: "hardware",
  lavapipe: "Mesa lavapipe on the CPU",
  swiftshader: "SwiftShader on the CPU",
};
const newerMesa =
  "install Mesa 25.0 or newer (Debian 12: apt install -t bookworm-backports mesa-vulkan-drivers), 2 to 4 times faster than SwiftShader";

/** The adapter asked for by `--adapter` (undefined: not given), else by DEFT_ADAPTER, else "auto". Throws UserError. */
export function adapterChoice(flag?: string): AdapterChoice {
  const given = flag ?? (process.env.DEFT_ADAPTER || "auto");
  const known = choices.find((choice) => choice === given);
  if (known) return known;
  const name = flag === undefined ? "DEFT_ADAPTER" : "--adapter";
  throw new UserError(
    `${name}: no such adapter; got ${JSON.stringify(given)}; expected one of ${choices.join(", ")}`,
  );
}

/**
 * Opens an adapter. "auto" takes the first that works of: hardware, an installed Mesa lavapipe, the embedded
 * SwiftShader; a forced kind that is not there throws. VK_DRIVER_FILES of the user rules which drivers count as
 * installed: set but empty, none. Also defines WebGPU's constants (GPUBufferUsage, ...) globally where absent. With
 * `experimental` the adapter also offers what Dawn is still trying out. Throws UserError that says what to do.
 */
export async function openGpu(choice: AdapterChoice, experimental = false): Promise<OpenedGpu> {
  const toggles = experimental ? [F16, EXPERIMENTAL] : [F16];
  await loadVulkanLoader(() => {
    const missing = swiftshaderMissing();
    if (!missing) return unpackSwiftshader().loader;
    throw new UserError(
      `adapter ${choice}: no Vulkan loader here; ${missing}; install libvulkan1 and a Vulkan driver`,
    );
  });
  if (choice === "auto") return openAuto(toggles);
  if (choice === "swiftshader") return openSwiftshader("forced by --adapter or DEFT_ADAPTER", toggles);
  const user = userDrivers();
  const lavapipe = user ? manifestsOf("lavapipe", user) : installedLavapipe();
  const drivers = choice === "lavapipe" && lavapipe.length > 0 ? lavapipe : user;
  const found = user?.length === 0 ? undefined : await find(drivers, toggles);
  if (found?.kind === choice) return opened(found, choice, "forced by --adapter or DEFT_ADAPTER");
  throw new UserError(
    `adapter ${choice}: not available; got ${describe(found, user, lavapipe)}; ${advice[choice]}`,
  );
}

/** Ends the process by 2 s from now even if Dawn still waits for something. Call last, after `device.destroy()`. */
export function closeGpu(): void {
  setTimeout(() => process.exit(), 2000).unref();
}

const advice = {
  hardware:
    "install the GPU's Vulkan driver (in a container: pass the GPU in, for NVIDIA with the capability graphics), or pass --adapter auto",
  lavapipe: `${newerMesa}, or pass --adapter swiftshader`,
};

async function openAuto(toggles: readonly string[]): Promise<OpenedGpu> {
  const user = userDrivers();
  if (user?.length === 0)
    return openSwiftshader("VK_DRIVER_FILES is set but empty, so no driver counts as installed", toggles);
  const found = await find(user, toggles);
  if (found && found.kind !== "other") {
    if (user) return opened(found, found.kind, "the drivers that VK_DRIVER_FILES names");
    const hardware = found.kind === "hardware";
    return opened(
      found,
      found.kind,
      hardware ? "hardware comes first" : "no hardware adapter, a software one is installed",
    );
  }
  const lavapipe = user ? manifestsOf("lavapipe", user) : installedLavapipe();
  const got = describe(found, user, lavapipe);
  if (user)
    throw new UserError(
      `adapter auto: none works; got ${got}; unset VK_DRIVER_FILES, or pass --adapter swiftshader`,
    );
  const missing = swiftshaderMissing();
  if (!missing) return openSwiftshader(`${got}; for more speed ${newerMesa}`, toggles);
  throw new UserError(
    `adapter auto: none works; got ${got}; ${missing}; ${advice.hardware.split(", or")[0]}`,
  );
}

async function openSwiftshader(why: string, toggles: readonly string[]): Promise<OpenedGpu> {
  const own = manifestsOf("swiftshader", userDrivers() ?? []);
  const missing = own.length > 0 ? undefined : swiftshaderMissing();
  if (missing) throw new UserError(`adapter swiftshader: ${missing}`);
  const drivers = own.length > 0 ? own : [unpackSwiftshader().driver];
  const found = await find(drivers, [...toggles, UNCHECKED]);
  if (found?.kind === "swiftshader") return opened(found, found.kind, why);
  const got = found ? nameOf(found.adapter) : "no adapter";
  throw new UserError(
    `adapter swiftshader: the driver does not start; got ${got}; delete the folder of ${drivers[0]} and start again`,
  );
}

/** Makes a Dawn instance over the given driver manifests (undefined: whatever is installed) and asks it for an adapter. */
async function find(
  drivers: readonly string[] | undefined,
  toggles: readonly string[],
): Promise<Found | undefined> {
  const { create, globals } = await import("webgpu").catch((error: unknown) => {
    throw new UserError(
      `webgpu: Dawn does not load on this system; got ${String(error).split("\n")[0]}; run npm ci here`,
    );
  });
  for (const [name, value] of Object.entries(globals))
    if (!(name in globalThis)) Object.assign(globalThis, { [name]: value });
  // Each instance reads the variables anew, so one process may try several sets of drivers.
  return withDrivers(drivers, async () => {
    const gpu = create(dawnOptions(toggles));
    instances.push(gpu);
    const adapter = await gpu.requestAdapter(request);
    return adapter ? { gpu, adapter, kind: kindOf(adapter.info) } : undefined;
  });
}

function kindOf(info: GPUAdapterInfo): AdapterKind | "other" {
  const text = `${info.vendor} ${info.architecture} ${info.device} ${info.description}`;
  if (/swiftshader/i.test(text)) return "swiftshader";
  if (/llvmpipe|lavapipe/i.test(text)) return "lavapipe";
  return info.isFallbackAdapter ? "other" : "hardware";
}

/** On hardware `device` is the card and `description` its driver; software drivers name themselves in the latter. */
function nameOf({ info }: GPUAdapter): string {
  const [first, second] = info.isFallbackAdapter
    ? [info.description, info.device]
    : [info.device, info.description];
  return first || second || `${info.vendor} ${info.architecture}`;
}

function opened({ gpu, adapter }: Found, kind: AdapterKind, why: string): OpenedGpu {
  const name = nameOf(adapter);
  const { description } = adapter.info;
  const driver = description && description !== name ? `, driver ${description}` : "";
  const freshAdapter = async (): Promise<GPUAdapter> => {
    const fresh = await gpu.requestAdapter(request);
    if (!fresh) throw new UserError(`adapter ${kind}: gone; expected ${name} as before; start again`);
    return fresh;
  };
  const languageFeatures = gpu.wgslLanguageFeatures as ReadonlySet<string>;
  const line = `adapter: ${name} (${kindNames[kind]}${driver}): ${why}`;
  return { adapter, freshAdapter, kind, name, identity: `${name}${driver}`, line, languageFeatures };
}

/** Why `found` will not do, in a few words for an error or the adapter line. */
function describe(found: Found | undefined, user: string[] | undefined, lavapipe: string[]): string {
  if (user?.length === 0) return "VK_DRIVER_FILES set but empty, which hides every installed driver";
  if (found) return nameOf(found.adapter);
  const [manifest] = lavapipe;
  if (!manifest)
    return user
      ? `no adapter from VK_DRIVER_FILES=${user.join(":")}`
      : "no hardware adapter and no Mesa lavapipe";
  return `no adapter, for Dawn refuses the lavapipe of ${manifest} (Vulkan ${manifestVersion(manifest)}; Debian 12's own Mesa 22.3 is too old)`;
}
