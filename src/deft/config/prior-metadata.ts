import { UserError } from "../errors.ts";
import { toRaw, type Value } from "./fields.ts";
import type { Preset } from "./presets.ts";
import { fields, type Config } from "./schema.ts";

const ENTRY = "deft.model";

/** The keys of group `model` that describe the network itself. */
const NETWORK_KEYS = [...fields.keys()].filter(
  (key) =>
    key.startsWith("model.") &&
    !["model.name", "model.ckpt_path", "model.dropout", "model.use_fp16"].includes(key),
);

/** Metadata for a prior's weight file that says which network it holds: one JSON text of the `model` keys. */
export function priorMetadata(model: Config["model"]): Record<string, string> {
  const held = model as unknown as Record<string, Value>;
  const network = NETWORK_KEYS.map((key) => key.slice("model.".length)).map((name) => [name, held[name]]);
  return { [ENTRY]: JSON.stringify(Object.fromEntries(network)) };
}

/**
 * The `model.*` values that a weight file's metadata states, or an empty preset when it states none (a public
 * checkpoint). Keys that this version does not know are left out. Throws a UserError for values out of range.
 */
export function priorNetwork(metadata: ReadonlyMap<string, string>): Preset {
  const text = metadata.get(ENTRY);
  if (text === undefined) return {};
  const stated = parseObject(text);
  const network: Record<string, Value> = {};
  for (const key of NETWORK_KEYS) {
    const name = key.slice("model.".length);
    const field = fields.get(key);
    if (field !== undefined && Object.hasOwn(stated, name))
      network[key] = field.parse(key, toRaw(stated[name]));
  }
  return network;
}

function parseObject(text: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new UserError(
      `${ENTRY}: the weight file's description of its network is no JSON object; expected one`,
    );
  }
  return value as Record<string, unknown>;
}
