// `deft info`: what the adapter offers, and the versions in use.
import { parseArgs } from "node:util";
import { UserError } from "../../deft/errors.ts";
import { adapterChoice, closeGpu, openGpu } from "../dawn.ts";
import { findPackage, ownPackage } from "../packages.ts";

const shownLimits = [
  "maxBufferSize",
  "maxStorageBufferBindingSize",
  "maxStorageBuffersPerShaderStage",
  "maxUniformBufferBindingSize",
  "maxComputeWorkgroupStorageSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupsPerDimension",
] as const;

const USAGE =
  "deft info [--adapter NAME]: show the adapter that a run would take (auto, hardware, lavapipe or swiftshader: that one), its features and limits, and the versions in use";

/** Prints the adapter, its features and limits, and versions to stdout. `args`: the words after `info`. Throws UserError. */
export async function info(args: readonly string[]): Promise<void> {
  const { adapter: wanted, help } = readFlags(args);
  if (help) return console.log(USAGE);
  const opened = await openGpu(adapterChoice(wanted));
  const { adapter, languageFeatures } = opened;
  const { subgroupMinSize, subgroupMaxSize } = adapter.info;
  const rows: [string, string | number | undefined][] = [
    ["features", [...adapter.features].sort().join(", ")],
    ["WGSL features", [...languageFeatures].sort().join(", ")],
    ["subgroup size", `${subgroupMinSize ?? "?"} to ${subgroupMaxSize ?? "?"}`],
    ...shownLimits.map((name): [string, number] => [name, adapter.limits[name]]),
    ["deft-webgpu", ownPackage().version],
    ["webgpu (Dawn)", findPackage("webgpu")?.version],
    ["node", `${process.version}, ${process.platform} ${process.arch}`],
  ];
  console.log(opened.line);
  for (const [name, value] of rows) console.log(`${name}: ${value}`);
  closeGpu();
}

function readFlags(args: readonly string[]): { readonly adapter?: string; readonly help?: boolean } {
  try {
    const options = { adapter: { type: "string" }, help: { type: "boolean", short: "h" } } as const;
    return parseArgs({ args: [...args], options }).values;
  } catch (error) {
    const fact = error instanceof Error ? error.message.split("\n")[0] : String(error);
    throw new UserError(`info: ${fact}; expected deft info [--adapter NAME]`);
  }
}
