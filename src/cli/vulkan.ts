// Which Vulkan drivers this system and its user offer, and the Vulkan loader that Dawn opens.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";

/** Both names: loaders before 1.3.207 know only the second. */
const variables = ["VK_DRIVER_FILES", "VK_ICD_FILENAMES"] as const;

/**
 * The driver manifests that the user set in VK_DRIVER_FILES (or its older name VK_ICD_FILENAMES); empty when set
 * but empty, which hides every installed driver; undefined when not set.
 */
export function userDrivers(): string[] | undefined {
  const value = process.env.VK_DRIVER_FILES ?? process.env.VK_ICD_FILENAMES;
  return value?.split(path.delimiter).filter((file) => file !== "");
}

/** Runs `body` with the loader's variables naming `drivers` (undefined: left as they are), then puts them back. */
export async function withDrivers<T>(
  drivers: readonly string[] | undefined,
  body: () => Promise<T>,
): Promise<T> {
  if (!drivers) return body();
  const before = variables.map((name) => process.env[name]);
  for (const name of variables) process.env[name] = drivers.join(path.delimiter);
  try {
    return await body();
  } finally {
    variables.forEach((name, i) => {
      const value = before[i];
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    });
  }
}

/** Manifests of an installed Mesa lavapipe, from the folders that the Vulkan loader reads on Linux. */
export function installedLavapipe(): string[] {
  if (process.platform !== "linux") return [];
  const { XDG_CONFIG_HOME, XDG_CONFIG_DIRS, XDG_DATA_HOME, XDG_DATA_DIRS } = process.env;
  const roots = [
    XDG_CONFIG_HOME || path.join(os.homedir(), ".config"),
    ...(XDG_CONFIG_DIRS || "/etc/xdg").split(":"),
    "/usr/local/etc",
    "/etc",
    XDG_DATA_HOME || path.join(os.homedir(), ".local/share"),
    ...(XDG_DATA_DIRS || "/usr/local/share:/usr/share").split(":"),
  ];
  const folders = [...new Set(roots)].map((root) => path.join(root, "vulkan", "icd.d")).filter(existsSync);
  const manifests = folders.flatMap((folder) => readdirSync(folder).map((name) => path.join(folder, name)));
  return manifestsOf("lavapipe", manifests);
}

const manifestNames = {
  lavapipe: /^(lvp|lavapipe|llvmpipe).*\.json$/i,
  swiftshader: /swiftshader.*\.json$/i,
};

/** Those of the manifests that belong to one software driver, by their file names (`lvp_icd.json`). */
export function manifestsOf(kind: keyof typeof manifestNames, manifests: readonly string[]): string[] {
  return manifests.filter((file) => manifestNames[kind].test(path.basename(file)));
}

/** The Vulkan version that a driver's manifest states, such as "1.4.305"; "unknown" if it cannot be read. */
export function manifestVersion(manifest: string): string {
  try {
    const parsed = JSON.parse(readFileSync(manifest, "utf8")) as { ICD?: { api_version?: string } };
    return parsed.ICD?.api_version ?? "unknown";
  } catch {
    return "unknown";
  }
}

/**
 * Loads libvulkan.so.1 before Dawn asks for it: the system's, or else the one that `embedded` unpacks, which finds
 * installed drivers too. Without koffi (it is optional) Dawn looks for the system's by itself.
 */
export async function loadVulkanLoader(embedded: () => string): Promise<void> {
  if (process.platform !== "linux") return;
  const koffi = await import("koffi").catch(() => undefined);
  if (!koffi) return;
  try {
    koffi.load("libvulkan.so.1", { global: true });
  } catch {
    koffi.load(embedded(), { global: true });
  }
}
