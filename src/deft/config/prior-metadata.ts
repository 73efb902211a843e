import { UserError } from "../errors.ts";
import { toRaw, type Value } from "./fields.ts";
import type { Preset } from "./presets.ts";
import { fields, type Config } from "./schema.ts";

/** The groups that a weight file describes, each by an entry of its metadata: the network itself, and the schedule it learned with. */
const GROUPS = ["model", "diffusion"] as const;
const entryOf = (group: (typeof GROUPS)[number]): string => `deft.${group}`;
const OTHER = ["model.name", "model.ckpt_path", "model.dropout", "model.use_fp16", "diffusion.name"];
const keysOf = (group: string): string[] =>
  [...fields.keys()].filter((key) => key.startsWith(`${group}.`) && !OTHER.includes(key));

/** Metadata for a prior's weight file that says which network it holds: a JSON text of the keys of each group. */
export function priorMetadata(config: Pick<Config, (typeof GROUPS)[number]>): Record<string, string> {
  return Object.fromEntries(
    GROUPS.map((group) => {
      const held = config[group] as unknown as Record<string, Value>;
      const names = keysOf(group).map((key) => key.slice(group.length + 1));
      return [entryOf(group), JSON.stringify(Object.fromEntries(names.map((name) => [name, held[name]])))];
    }),
  );
}

/**
 * The `model.*` and `diffusion.*` values that a weight file's metadata states, or an empty preset when it states none (a public
 * checkpoint). Keys that this version does not know are left out. Throws a UserError for values out of range.
 */
export function priorNetwork(metadata: ReadonlyMap<string, string>): Preset {
  const network: Record<string, Value> = {};
  for (const group of GROUPS) {
    const text = metadata.get(entryOf(group));
    if (text === undefined) continue;
    const stated = parseObject(entryOf(group), text);
    for (const key of keysOf(group)) {
      const name = key.slice(group.length + 1);
      const field = fields.get(key);
      if (field !== undefined && Object.hasOwn(stated, name))
        network[key] = field.parse(key, toRaw(stated[name]));
    }
  }
  return network;
}

function parseObject(entry: string, text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UserError(
      `${entry}: the weight file's description of its network is no JSON object; expected one`,
    );
  }
  return value as Record<string, unknown>;
}
