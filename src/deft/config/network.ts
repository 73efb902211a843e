import { UserError } from "../errors.ts";
import type { Value } from "./fields.ts";

/**
 * Refuses a network (`model` or `htransform_model`) that cannot be built: channels of a level that the
 * groups of the norms do not divide, attention heads that do not divide them, a side that cannot be halved for
 * each level.
 */
export function checkNetwork(group: string, values: ReadonlyMap<string, Value>): void {
  const value = (name: string) => values.get(`${group}.${name}`);
  const base = Number(value("num_channels"));
  const side = Number(value("image_size"));
  const mult = value("channel_mult") as readonly number[];
  const attention = value("attention_resolutions") as readonly number[];
  const headChannels = Number(value("num_head_channels"));
  const groups = Number(value("norm_groups"));
  const halvings = mult.length - 1;
  if (side % 2 ** halvings !== 0) {
    throw new UserError(
      `${group}.channel_mult: side ${side} cannot be halved ${halvings} times; got ${mult.length} levels; expected fewer`,
    );
  }
  mult.forEach((m, level) => {
    const channels = base * m;
    if (channels % groups !== 0) {
      throw new UserError(
        `${group}.num_channels: ${channels} channels at level ${level} (${base} x ${m}); expected a multiple of norm_groups, ${groups}`,
      );
    }
    if (!attention.includes(side / 2 ** level) && level < halvings) return;
    if (headChannels === 0)
      throw new UserError(`${group}.num_head_channels: got 0; expected -1 or at least 1`);
    const [key, parts] =
      headChannels > 0 ? ["num_head_channels", headChannels] : ["num_heads", Number(value("num_heads"))];
    if (channels % parts !== 0) {
      throw new UserError(
        `${group}.${key}: does not divide the ${channels} channels at level ${level}; got ${parts}; expected a divisor`,
      );
    }
  });
}
