// npm run golden -- [FOLDER]: compares the library with recorded numbers (default: test/golden). GOLDEN_ONLY=REGEXP takes only
// entries with such an id; GOLDEN_TIMES=1 prints the time of each; GOLDEN_HALF=1 adds the error of each prior in float16.
import path from "node:path";
import { adapterChoice, closeGpu, openGpu } from "../../../src/cli/dawn.ts";
import { tuningOf } from "../../../src/cli/tuning.ts";
import { checkChoices, Engine, openDevice } from "../../../src/tensor/index.ts";
import { halfErrors } from "./half.ts";
import { openFolder, type Folder } from "./manifest.ts";
import { runFolder } from "./run.ts";

/** Prints what is outside and the closing line; the exit status to set. */
async function main(path: string): Promise<number> {
  const folder = await openFolder(path);
  const gpu = await openGpu(adapterChoice());
  console.log(gpu.line);
  const device = await openDevice(gpu.adapter, {
    kernels: process.env["DEFT_KERNEL"] ?? "",
    tuning: await tuningOf(gpu.identity),
  });
  checkChoices(device);
  const times = process.env["GOLDEN_TIMES"] === "1";
  const only = process.env["GOLDEN_ONLY"];
  const engine = new Engine(device);
  const report = await runFolder(engine, folder, {
    ...(only ? { only: new RegExp(only) } : {}),
    onOutside: ({ id, output, problem }) =>
      console.log(`outside: ${id} ${output ?? "(whole entry)"}: ${problem}`),
    onEntry: ({ id }, ms) => times && console.log(`${id}: ${ms.toFixed(0)} ms`),
  });
  if (process.env["GOLDEN_HALF"] === "1") await reportHalf(engine, folder);
  device.destroy();
  const { within, uncompared, entriesOutside, unsupported, unsupportedKinds } = report;
  if (unsupportedKinds.size > 0) {
    console.log("unsupported kinds:");
    for (const [kind, reason] of unsupportedKinds) console.log(`  ${kind}: ${reason}`);
  }
  if (uncompared.length > 0) console.log(`nothing to compare in: ${uncompared.join(", ")}`);
  console.log(
    `golden: ${within} within, ${entriesOutside} outside, ${unsupported} unsupported in ${unsupportedKinds.size} kinds`,
  );
  return entriesOutside > 0 ? 1 : 0;
}

async function reportHalf(engine: Engine, folder: Folder): Promise<void> {
  if (!engine.device.half) {
    console.log("float16: this adapter has no shader-f16");
    return;
  }
  for (const { id, error } of await halfErrors(engine, folder))
    console.log(`float16: ${id}: relative l2 error ${error.toExponential(1)}`);
}

try {
  process.exitCode = await main(path.resolve(process.argv[2] ?? "test/golden"));
} catch (error) {
  console.error(`golden: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 1;
}
closeGpu();
