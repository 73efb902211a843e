import { algorithmNames } from "../algorithms/index.ts";
import { showValue, type Value } from "./fields.ts";
import { algorithmPreset, embeddedRun, htransformPresets, modelPresets, type Preset } from "./presets.ts";
import { fields } from "./schema.ts";

/** Lines on the flags, some with the key that a flag stands for. */
const USAGE: readonly (readonly [line: string, key?: string])[] = [
  ["Options are KEY=VALUE or GROUP=CHOICE, in any order; the last of two wins."],
  ["  --adapter NAME     auto, hardware, lavapipe or swiftshader"],
  ["  --checkpoint RUN   the folder of a finished train run", "exp.checkpoint"],
  ["  --resume           train, pretrain, sample: go on with the run of this exp.name", "exp.resume"],
  ["  --dry-run          print the resolved configuration and stop"],
  ["  --config FILE:finetuning:DATA:TASK, --config.SECTION.KEY VALUE    the older style, for the same keys"],
  ["  --help             this text"],
  [
    "In brackets: the default, then what stands instead with the embedded prior (model=embedded, the default).",
  ],
];

/** The help of a command: its usage line, the flags, then the keys wanted with type, default and meaning. */
export function helpText(usage: string, wanted: (key: string) => boolean = () => true): string {
  const shown = { ...modelPresets["embedded"], ...htransformPresets["embedded"], ...embeddedRun };
  const flags = USAGE.filter(([, key]) => key === undefined || wanted(key)).map(([line]) => line);
  const lines = [usage, "", ...flags];
  let group = "";
  for (const [key, field] of fields) {
    if (!wanted(key)) continue;
    const own = key.split(".")[0] ?? key;
    if (own !== group) lines.push("", `${own}:`);
    group = own;
    lines.push(`  ${key} (${field.type}) [${defaults(key, field.default, shown)}]`, `      ${field.help}`);
  }
  return `${lines.join("\n")}\n`;
}

function defaults(key: string, fallback: Value, embedded: Preset): string {
  const own = algorithmNames.flatMap((name) => {
    const value = algorithmPreset(name, "deno")[key];
    return value === undefined ? [] : [`${name} ${showValue(value)}`];
  });
  if (own.length > 0) return own.join(", ");
  const other = embedded[key];
  return other === undefined ? showValue(fallback) : `${showValue(fallback)}; ${showValue(other)}`;
}
